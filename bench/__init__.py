"""The package's own comparison: what a remembered turn costs in requests, time, processor time and tokens.

`python -m bench` prints it. `service` is the stand-in for the hosted service, `dialogue` what is said and
remembered in it, `ways` how a chat can be given a memory, `turns` and `core` what is measured, `report` the
table with its goals.
"""
