// Imported before everything else: the provider's notices go to stdout and its warnings to stderr, some of them already
// while it is loaded. Stdout is for the ready line alone, and stderr for errors. INTEROP_VERBOSE=1 shows them on stderr.

const verbose = process.env.INTEROP_VERBOSE === '1';

console.log = verbose ? console.error : () => {};
console.info = console.log;
console.warn = console.log;
