"""
The pure core: what is decided, never done.

Nothing below this package reads a clock, draws randomness, touches the
environment or waits. `now`, random draws and answers of stores come in as
arguments or are sent into plans (see `plans`). A linter keeps it so.
"""
