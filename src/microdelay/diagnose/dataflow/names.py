"""Names that tell what a function does where its source is not at hand; each list says what hangs on it."""

from __future__ import annotations

import re


def names(text: str) -> frozenset[str]:
    """Give the words of a text."""
    return frozenset(text.split())


BUILTINS = names(
    "abs all any ascii bool bytes chr dict divmod enumerate filter float format frozenset getattr hasattr hash "
    "hex id int isinstance iter len list map max min next oct ord print range repr reversed round set sorted str "
    "sum tuple type vars zip"
)
"""Functions that keep and change nothing of what they are given."""

WELL_KNOWN = names(
    "cast copy create_task date decode deepcopy dump dumps encode ensure_future execute fetch fetchall fetchone find "
    "fromkeys gather get head index items join keys loads match options parse_qs partial partition patch perf_counter "
    "post put quote replace request run run_in_executor search sleep split startswith strftime strptime sub submit "
    "time to_thread urlencode urljoin urlparse values wait wait_for"
)
"""Functions of well-known libraries that change none of their arguments, and keep apart from each other what they get.

Another function may write the answer into what else it is given, whatever it is called: `load_state(state, answer)`.
"""

LOGGING = names("critical debug error exception info log warn warning")
"""Methods that write for people: what they take, no later call reads."""

CHECKING = names("check_returncode ensure_success raise_for_error raise_for_status raise_if_error")
"""Methods that raise where an answer is an error, and change nothing."""

ADDING = names("add append appendleft extend extendleft insert push put put_nowait setdefault update")
"""Methods by which containers take something in."""

READING = re.compile(
    r"^_?(get|fetch|load|read|find|list|search|query|select|lookup|ask|call|request|post|put|patch|delete|head|options|"
    r"execute|fetch\w*|parse|format|render|build|make|create|to|from|is|has|join|split|strip|encode|decode|dumps|loads|"
    r"json|keys|values|items|index|count|copy|replace|startswith|endswith|strftime|match|sub|lower|upper|analy[sz]e|"
    r"compute|calculate|convert|decide|summari[sz]e|translate|classify|embed|complete|chat|predict|score)(_|$|[A-Z])"
)
"""Names of functions that by what they are called answer, and do not change the object whose methods they are.

A client that is told something by a request and remembers it is seen by the values that flow, and by the method.
"""

PACING = re.compile(
    r"(^|[._])(sleep|throttl\w*|\w*limiter|rate_?limit\w*|acquire|back_?off|wait|pace|consume_token\w*|try_acquire)$",
    re.IGNORECASE,
)
"""Calls that keep other calls apart, perhaps on purpose."""

KEEPING_APART = re.compile(
    r"((?<!b)(?<!c)lock(?!out|er)|mutex|semaphore|(\b|_)sem\b|limiter|throttl|rate_?limit|turnstile|pacer|leaky|(\b|_)rate$|"
    r"token_?bucket|transaction|atomic|\.begin\()",
    re.IGNORECASE,
)
"""Context managers that let one call in at a time, or keep an order; `block` and `clock` are none."""

IN_ORDER = re.compile(r"(transaction|atomic|savepoint|\.begin(_nested)?\()", re.IGNORECASE)
"""Context managers and decorators that make one unit of what is done in them, in its order, on one connection."""

PAUSING = re.compile(
    r"((^|[._])(sleep|throttle|rate_?limit\w*|pace)|(throttler?|rate_?limiter|pacer|leaky_?bucket|token_?bucket)"
    r"(\.(acquire|wait|consume|take))?)$",
    re.IGNORECASE,
)
"""Of those, what lets time pass whoever else is there; a limit of how many at a time (a semaphore) is none."""

TRACING = re.compile(r"(sentry|elasticapm|newrelic|ddtrace|tracer|datadog|opentelemetry)", re.IGNORECASE)
"""Tools whose transactions are pieces of a trace and keep nothing apart."""

POOLS = re.compile(r"(pool|engine|connections?)(\(\))?\.(acquire|get|connect|connection)\b", re.IGNORECASE)
"""What takes a connection out of a pool: it waits only where the pool is empty."""

STOPPING = re.compile(r"^(Stop|Done|Found(?!ation)|Finish|Exit|Complete|Break|End)|(Done|Finished|Completed)$")
"""Exceptions that by their name are no failure: they say that all is done."""

BY_NAME = names("eval exec globals locals")
"""Functions through which variables are read and written that the source does not name: nothing can be followed."""

STOPS_EARLY = names("all any islice next takewhile")
"""Functions that ask a generator for its next element only while the ones before did not settle the matter."""

TAKES_ALL = names("Counter dict extend frozenset gather join list max min set sorted sum tuple update")
"""Functions that take all that a generator gives."""

PASSING_ON = names("enumerate iter list reversed sorted tuple zip")
"""Functions that give the elements of what they are given."""

HANDING_ON = {"partial": 0, "run_in_executor": 1, "run_sync": 0, "submit": 0, "to_thread": 0}
"""Functions that have what they are given called elsewhere: which argument it is; those after it are its own."""

CALLING = names("filter map")
"""Functions that call what they are given."""

HARMLESS_TESTS = names("all any bool isinstance len max min")
"""Functions in a loop's condition that do not look at the world outside."""

ENDLESS = names("count cycle iter repeat")
"""Functions that give a loop no end of its own."""

EXITS = names("_exit abort exit fail quit skip")
"""Functions that do not come back: they end the program, the request or the test."""

WRITING = names("dump save write write_bytes write_text writelines")
"""Functions after which a file may hold what they were given."""

OPENING = names("open read_bytes read_text")
"""Functions that read a file, and so what one of `WRITING` put there."""

FILES = "a file"
"""Stands for the variable in which what is written to a file is kept: whoever opens one may read it."""

FORBIDDING = re.compile(
    r"permission|forbidden|unauthori[sz]ed|denied|not_?allowed|not_?entitled|quota|budget|\b40[123]\b", re.IGNORECASE
)
"""What is raised where an answer says that what would follow is not to be done at all."""

STATUS = re.compile(r"(^|[._])(status(_?code)?|code|ok|is_success|is_(client_)?error)$")
"""What tells whether a request failed, and nothing else."""

TAKING_OUT = names("get_nowait pop popitem popleft")
"""Methods by which something shared gives each caller another thing, in the order in which they come."""
