// Runs first in every npm script, on whatever Node the shell finds: so plain JavaScript, and nothing newer than 2015.

const WANTED_MAJOR = 24;
const version = process.versions.node;

if (Number(version.split(".")[0]) < WANTED_MAJOR) {
  console.error(`Stillpoint needs Node ${WANTED_MAJOR} or later, but this is Node ${version}.

npm scripts normally get Node from the development dependency \`node\`, whose install script fetches the binary.
Here it did not run, or the script was started without npm. One of these helps:

  npm ci                                           when the dependencies are not installed yet
  npm rebuild node --ignore-scripts=false          when install scripts are switched off
  npm approve-scripts node && npm rebuild node     when npm wants each install script to be approved

or install Node ${WANTED_MAJOR} or later and put it first in PATH.
`);
  process.exit(1);
}
