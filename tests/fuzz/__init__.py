"""Random input for the agent's doors, half of it well-formed, and what may never come of it.

Stated here, checked by every target:

1. Nothing hangs: an input is dealt with before its deadline (`engine.DEADLINE_S`).
2. Nothing grows without bound: the process's memory over a run (`engine.MOST_GROWTH_KIB`), and whatever a
   target keeps over its inputs.
3. Nothing escapes: whoever sends nonsense meets a typed refusal (`shared.errors.StbError`), and no other
   exception.
4. Each complete line is answered, in order.
5. A refusal changes nothing: the store's tables are the same before and after it, but for the count of wrong
   PINs, which has to be kept.
6. No wrong minutes: what the agent believes to have been viewed is what the valid part of the input says
   (`model`), in disjoint stretches of time that has passed, also after a restart.

No failure is: a request refused, an event not kept without consent, a connection closed after a line that is
too long. Chance that is not controlled: the timing of threads and sockets in `targets/socket_stream.py`.

An input is a list of bytes; what the parts mean, the target says. All of it follows from the seed and the
input's number, which are told with what was found, made small. What was found once is a named test in
`test_found.py`.

Why no coverage-guided fuzzer: atheris 3.0 saw 135,000 inputs in 45 s, and 75 % of their lines ended in the
JSON decoder, which is C and gives it no coverage; it missed what the grammar here finds in its first seconds.
"""
