/** The least a piscina worker can do. */
export default (argument) => argument + 1;
