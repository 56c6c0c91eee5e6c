"""The command line: a module for each verb. `options` lists the options of all verbs."""
