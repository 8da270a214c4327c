/** n steps of five bodies (the Computer Language Benchmarks Game). */
class Body {
  constructor(
    public x: f64,
    public y: f64,
    public z: f64,
    public vx: f64,
    public vy: f64,
    public vz: f64,
    public mass: f64,
  ) {}
}
const bodies: Body[] = [
  new Body(0, 0, 0, 0, 0, 0, 39.47841760435743),
  new Body(
    4.8414314424647209,
    -1.16032004402742839,
    -0.103622044471123109,
    0.606326392995832,
    2.81198684491626,
    -0.02521836165988763,
    0.03769367487038949,
  ),
  new Body(
    8.34336671824457987,
    4.12479856412430479,
    -0.403523417114321381,
    -1.0107743461787924,
    1.8256623712304119,
    0.008415761376584154,
    0.011286326131968767,
  ),
  new Body(
    12.894369562139131,
    -15.1111514016986312,
    -0.223307578892655734,
    1.0827910064415354,
    0.8687130181696082,
    -0.010832637401363636,
    0.0017237240570597112,
  ),
  new Body(
    15.3796971148509165,
    -25.9193146099879641,
    0.179258772950371181,
    0.979090732243898,
    0.5946989986476762,
    -0.034755955504078104,
    0.0020336868699246304,
  ),
];

function advance(dt: f64): void {
  const size = bodies.length;
  for (let i = 0; i < size; i++) {
    const a = unchecked(bodies[i]);
    let vx = a.vx,
      vy = a.vy,
      vz = a.vz;
    for (let j = i + 1; j < size; j++) {
      const b = unchecked(bodies[j]);
      const dx = a.x - b.x,
        dy = a.y - b.y,
        dz = a.z - b.z;
      const d2 = dx * dx + dy * dy + dz * dz;
      const mag = dt / (d2 * sqrt(d2));
      vx -= dx * b.mass * mag;
      vy -= dy * b.mass * mag;
      vz -= dz * b.mass * mag;
      b.vx += dx * a.mass * mag;
      b.vy += dy * a.mass * mag;
      b.vz += dz * a.mass * mag;
    }
    a.vx = vx;
    a.vy = vy;
    a.vz = vz;
    a.x += dt * vx;
    a.y += dt * vy;
    a.z += dt * vz;
  }
}

export function main(n: i64): i64 {
  for (let i: i64 = 0; i < n; i++) advance(0.01);
  return reinterpret<i64>(unchecked(bodies[0]).x);
}
