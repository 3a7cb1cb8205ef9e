"""Ways to record a call, one a file: each `set_up(client, folder)` gives the client to call and a function to end with.

`PACKAGES` names what a peer needs in its environment beyond the SDK; a contender without it runs in the project's own.
"""
