"""
A PostgreSQL database that processes share: for applications that have one already.

Everything lies in a schema of its own (`sql/tables.sql`), in tables that are not logged:
fast, and emptied when the server crashes, with all that they knew of tags, so that it is
noticed. An operation is one call of a function there, in a transaction of its own.
`layout` names things and reads what comes back, `making` puts the schema together,
`operations` and `commands` say what is called; `talking` speaks to libpq without waiting,
`links` are connections and who waits for a free one, `sync` and `aio` do the waiting.

**Order.** A change of tags locks the incarnation's row before anything else, and holds it
until it is committed: changes come one after the other, and each sees what was committed
before it, since each statement of its function has a snapshot of its own. A look-up is one
statement, in one snapshot, and waits for nobody.

**Versions (rule 6).** Their numbers come from a sequence, under that lock. So they become
visible in the order in which they are drawn; a number is drawn before it can be seen, and
may be noted in between. That is safe: let an entry show a commit, and have no version above
a note. The entry was stored while no fence was up, so after the writer's lift; a lift draws
its number after its COMMIT, and the tag has this one or a later one. It is not above the
note: so the COMMIT came before the note, and before all that follows that.

**Entries (rule 3).** They are stored without the lock: between the look at the tags and the
end of the transaction a tag may change. Then the entry has a version that no tag will have
again, and is unservable from the start.

**Commits inside (rule 2).** Transactions of the same database insert what they change into a
table of what was said (`sql/said.sql`), so that it is seen with their commit. Whoever takes a
stamp folds what it sees of that: in a change as any other, so a tag's new number is drawn
after the commit was visible, and the three parts (the row gone, the tag bumped, the fold
noted) are seen together. A look-up sees one of the two in its snapshot, the row or the new
version; a store looks after its data was read, and so for all that this may show.

**Lost memory (rule 7).** The incarnation is a row among the tags, so that it can't outlive
them. It has a random origin, and says which files of which database it lies in and since
when the server runs. Where that isn't so any more (a crash, a start, a standby promoted, a
dump restored, a database copied), whoever changes something first begins another one.

**Sessions.** Nothing is kept in one, so that poolers may give each transaction another.
Whoever waits in the server for a lock gives up there a little before its caller does.
"""
