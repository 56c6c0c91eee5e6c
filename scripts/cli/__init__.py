"""The command line: one module for each verb. `options` lists what each verb accepts."""
