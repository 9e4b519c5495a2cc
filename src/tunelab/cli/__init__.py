"""Room of the command line: one file for each verb, which parses, calls a flow and prints."""
