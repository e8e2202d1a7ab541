"""
One SQLite file that the processes of one machine share, without a server.

`layout` says where things lie, `files` makes and opens the file and tells whether it is
still the one that was opened; `looking` and `changing` are the operations, which
`commands` hands out; `client` does them, over connections that are kept (`pool`), and
what may have to wait for a lock in a thread of its own (`stores.worker`).

A change is one BEGIN IMMEDIATE transaction, a look-up one statement.
"""
