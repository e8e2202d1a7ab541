"""
A cached function: its key, its calls, and what can be asked of it by hand.

`CachedCall` is shared by the blocking and the async face; `decorators` makes
one for each decorated function and hangs its methods on the wrapper.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from yokedcache.again import Again, Standing
from yokedcache.calls import CallHost, examine_call, forbidden
from yokedcache.core.classes import find
from yokedcache.core.entry import MISS, Miss
from yokedcache.core.kept_errors import raise_own
from yokedcache.core.keys import canonical, flat_key, instance_key, is_ignored
from yokedcache.core.plans import Answer, answer_call
from yokedcache.policy import UNSET
from yokedcache.runtime.context import current_capture, hand_on
from yokedcache.runtime.drive import run, run_async
from yokedcache.runtime.naming import named
from yokedcache.runtime.surroundings import (
    note_sessions,
    open_context,
    open_transaction,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from yokedcache.core.entry import Entry, Tally
    from yokedcache.core.operations import Plan
    from yokedcache.machine import Machine
    from yokedcache.policy import FunctionPolicy
    from yokedcache.runtime.surroundings import Scene
    from yokedcache.wrapper import Cells


class Request:
    """
    One call, ready to be answered.
    """

    __slots__ = ("bypass", "call", "key", "scene", "tags")

    def __init__(
        self,
        key: Hashable,
        tags: tuple[str, ...],
        call: Callable[[], Any],
        scene: Scene,
        bypass: str | None,
    ) -> None:
        self.key = key
        self.tags = tags
        self.call = call
        self.scene = scene
        self.bypass = bypass


class CachedCall:
    """
    Everything of a cached function but its wrapper.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        policy: FunctionPolicy,
        find_machine: Callable[[], Machine],
        *,
        is_async: bool,
        method: bool,
    ) -> None:
        self.function = function
        self.policy = policy
        import inspect

        self.signature = inspect.signature(function)
        self.is_async = is_async
        self.method = method
        self.plain = False
        """Keys are made of the arguments alone."""
        self.name = f"{function.__module__}.{function.__qualname__}"
        # a string, since it remembers its hash and a tuple works it out at each hit
        self.token: Final = f"function:{self.name}:{id(self)}"
        self.cells: Cells | None = None
        self._kinds = [p.kind.name for p in self.signature.parameters.values()]
        self._find_machine = find_machine
        self._shared_name: str | None = None
        named[self.token] = self
        note_sessions()
        self._machine: Machine | None = None
        self._tally: Tally | None = None
        self._again: Again | None = None

    @property
    def machine(self) -> Machine:
        """
        The cache that answers; found at the first call.
        """
        machine = self._machine
        if machine is None or machine.closed:
            machine = self._machine = self._find_machine()
            self._tally = machine.tally(self.name)
            if self.cells is not None and not machine.closed:
                self.cells.bind(machine.store, machine.clock)
                shares = machine.store.shares and self.plain
                self._again = Again(machine.store, self.token) if shares else None
        return machine

    def tally(self) -> Tally:
        """
        The function's counts.
        """
        return self.machine.tally(self.name)

    def shared_name(self) -> str | None:
        """
        Give what stands for the function in every process that has it.

        `None` if its name doesn't lead to it: two functions may have it then.
        """
        if self._shared_name is None:
            found: Any = find(
                f"{self.function.__module__}:{self.function.__qualname__}"
            )
            handle = getattr(found, "handle", None)
            if getattr(handle, "core", None) is not self:
                return None
            from yokedcache.prints import code_print

            # what was stored under other tags can't be invalidated by these
            done = code_print(self.function, *self.policy.told)
            self._shared_name = f"function:{self.name}:{done}"
        return self._shared_name

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """
        Bind arguments as a call would, defaults included.
        """
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def request(self, values: tuple[Any, ...]) -> Request:
        """
        Work out key, tags and surroundings of a call.

        Raises:
            KeyArgumentError: an argument can't be part of a key.
        """
        scene = examine_call(values)
        around = current_capture()
        if around is not None:
            around.demand(
                own=self.policy.varies, varies=scene.varies, schemas=scene.schemas
            )
        call = functools.partial(self._invoke, values)
        bypass = scene.bypass
        if not self.policy.varied:
            bypass = bypass or scene.contextual
        if self.machine.closed:
            bypass = "closed"
        bypass = bypass or self.machine.store.off
        key = self._key(values, scene)
        return Request(key, self.policy.call_tags(values), call, scene, bypass)

    def answer(self, values: tuple[Any, ...]) -> Any:
        """
        Answer a call of a blocking function.
        """
        again, standing = self._again, Standing.OTHER
        if again is not None and (entry := again.known(values)) is not None:
            standing = again.ask(entry)
            if standing is Standing.SAME:
                return entry.read()
        request = self.request(values)
        if request.bypass:
            self.tally().bypass(request.bypass)
            return request.call()
        if self._forbidden(request):
            return request.call()
        host = self._host(request, blocking=True)
        host.stands(standing)
        answer = run(self._plan(request, host), host.perform)
        if self._foreign(answer, request):
            return request.call()
        return self._result(answer, request)

    async def answer_async(self, values: tuple[Any, ...]) -> Any:
        """
        Answer a call of an async function.
        """
        again, standing = self._again, Standing.OTHER
        if again is not None and (entry := again.known(values)) is not None:
            standing = await again.ask_async(entry)
            if standing is Standing.SAME:
                return entry.read()
        request = self.request(values)
        if request.bypass:
            self.tally().bypass(request.bypass)
            return await request.call()
        if self._forbidden(request):
            return await request.call()
        host = self._host(request, blocking=False)
        host.stands(standing)
        return await self._finish(self._plan(request, host), host, request)

    def refreshed(self, values: tuple[Any, ...]) -> Any:
        """
        Load anew, store and give the value; also `await`able for async functions.
        """
        request = self.request(values)
        if request.bypass or self._forbidden(request):
            return request.call()
        host = self._host(request, blocking=not self.is_async)
        host.anew = True
        plan = self._plan(request, host, force=True)
        if self.is_async:
            return self._finish(plan, host, request)
        answer = run(plan, host.perform)
        if self._foreign(answer, request):
            return request.call()
        return self._result(answer, request)

    def invalidate(self, values: tuple[Any, ...]) -> bool:
        """
        Drop the stored answer of a call; tell whether there was one.

        A load of it that is under way is not stored either.
        """
        return self.machine.store.remove(self.request(values).key)

    def peek(self, values: tuple[Any, ...]) -> Any | Miss:
        """
        Give what is served plainly for a call, or `MISS`; never loads.
        """
        request = self.request(values)
        machine = self.machine
        entry = None
        if not request.bypass:
            entry = machine.done(machine.looking(request.key, request.tags))
        if entry is None or request.scene.anew or self._beyond(entry, request):
            return MISS
        return self._read(entry, request)

    @staticmethod
    def _plan(request: Request, host: CallHost, *, force: bool = False) -> Plan[Answer]:
        anew = force or request.scene.anew
        return answer_call(request.key, host.given, ticket=host.ticket, force=anew)

    def _host(self, request: Request, *, blocking: bool) -> CallHost:
        # only a key of the author's own lies under prefixes
        key: Any = request.key
        own = key[-1] if key[-2:-1] == ("key",) else None
        return CallHost(
            self.machine,
            self.policy,
            self.tally(),
            request.key,
            request.call,
            request.scene,
            blocking=blocking,
            ticket=self.machine.terminal.ticket(),
            given=(*request.tags, *self.machine.prefix_tags(own)),
        )

    async def _finish(
        self, plan: Plan[Answer], host: CallHost, request: Request
    ) -> Any:
        answer = await run_async(plan, host)
        if self._foreign(answer, request):
            return await request.call()
        return self._result(answer, request)

    def _forbidden(self, request: Request) -> bool:
        """
        Tell whether a transaction forbids the answer that is stored (rules 5 and 6).
        """
        entry = self.machine.store.fetch(request.key)
        if entry is None:
            return False
        if forbidden(entry):
            self.tally().bypass("open_transaction")
            return True
        if self._contextual(entry):
            return True
        return not request.scene.anew and self._beyond(entry, request)

    def _contextual(self, entry: Entry) -> bool:
        """
        Tell whether what was set over a connection may make another answer right.
        """
        if self.policy.varied or not open_context(entry.vector):
            return False
        self.tally().bypass("context")
        return True

    def _beyond(self, entry: Entry, request: Request) -> bool:
        """
        Tell whether an answer is beyond what a snapshot at hand sees (rule 6).
        """
        reason = request.scene.view(self.machine.store).unservable(entry.vector)
        if reason is not None:
            self.tally().bypass(reason)
        return reason is not None

    def _foreign(self, answer: Answer, request: Request) -> bool:
        """
        Tell whether rules 5 or 6 forbid what somebody else loaded.

        It is asked again because before the load nobody knew what it depends on.
        """
        entry = answer.entry
        if answer.loaded is not None or entry is None:
            return False
        if open_transaction(entry.vector):
            self.tally().bypass("open_transaction")
            return True
        return self._contextual(entry) or self._beyond(entry, request)

    def _result(self, answer: Answer, request: Request) -> Any:
        tally = self.tally()
        if answer.loaded is not None:
            if answer.loaded.error is not None:
                raise_own(answer.loaded)
            return answer.loaded.value
        entry = answer.entry
        if entry is None:  # pragma: no cover - plans give one of the two
            return None
        if answer.how == "joined":
            tally.shared += 1
        else:
            entry.hits += 1
        hand_on(entry.vector)
        for kept in request.scene.floats:
            kept.saw(self.machine.store, entry.vector)
        return self._read(entry, request)

    def _read(self, entry: Entry, request: Request) -> Any:
        copier = entry.copier
        attach = getattr(copier, "attach", None)
        if attach is not None:
            store = self.machine.store
            return attach(entry.value, request.scene.session, store, entry.vector)
        return entry.read()

    def _invoke(self, values: tuple[Any, ...]) -> Any:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, kind, value in zip(
            self.policy.names, self._kinds, values, strict=True
        ):
            if kind == "VAR_POSITIONAL":
                args.extend(value)
            elif kind == "VAR_KEYWORD":
                kwargs.update(value)
            elif kind == "KEYWORD_ONLY":
                kwargs[name] = value
            else:
                args.append(value)
        return self.function(*args, **kwargs)

    def _key(self, values: tuple[Any, ...], scene: Scene) -> Hashable:
        policy = self.policy
        own = policy.key_of(values)
        extra = scene.key
        if scene.info and policy.vary is not None:
            extra = (*extra, *scene.info)
        if policy.vary is not UNSET and policy.vary is not None:
            extra = (*extra, "vary", canonical(policy.vary_value()))
        if own is not UNSET:
            part = own if type(own) is str else canonical(own)
            return (self.token, *extra, "key", part)
        if not extra and not self.method:
            flat = flat_key(self.token, values)
            if flat is not None:
                return flat
        return (self.token, *extra, b"".join(self._parts(values)))

    def _parts(self, values: tuple[Any, ...]) -> list[bytes]:
        parts: list[bytes] = []
        for index, (name, value) in enumerate(
            zip(self.policy.names, values, strict=True)
        ):
            if index == 0 and self.method and not isinstance(value, type):
                parts.append(instance_key(value))
            elif not is_ignored(value):
                parts.append(canonical(name) + canonical(value, name=name))
        return parts
