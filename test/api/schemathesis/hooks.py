"""Gives schemathesis values that only the server can issue: cursors, Consistency-Tokens and download tokens."""

from urllib.parse import urlparse

import schemathesis

lists = {}
tokens = set()
downloads = []


@schemathesis.hook
def after_call(context, case, response):
    if token := response.headers.get("consistency-token"):
        tokens.add(token[0] if isinstance(token, list) else token)
    if response.status_code == 200 and "application/json" in str(response.headers.get("content-type")):
        answer = response.json()
        if case.operation.label == "POST /data/download" and "url" in answer:
            downloads.append(urlparse(answer["url"]).path.removeprefix("/downloads/"))
        if isinstance(answer, dict) and isinstance(answer.get("next"), str):
            filters = {name: value for name, value in (case.query or {}).items() if name not in ("cursor", "limit")}
            lists[answer["next"]] = (case.operation.label, dict(case.path_parameters or {}), filters, case.body)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives valid requests a known cursor and known tokens, or none. Does not change invalid requests."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.headers and case.headers.get("Consistency-Token") not in tokens:
        case.headers.pop("Consistency-Token", None)
    # schemathesis generates a bare 0 as a valid If-Match, although the pattern forbids it.
    if case.headers and case.headers.get("If-Match") == "0":
        del case.headers["If-Match"]
    if case.operation.label == "GET /downloads/{token}" and downloads:
        case.path_parameters["token"] = downloads[-1]
    if not case.query or "cursor" not in case.query:
        return
    known = lists.get(case.query["cursor"])
    if known and known[0] == case.operation.label:
        _, case.path_parameters, filters, case.body = known
        more = {name: case.query[name] for name in ("cursor", "limit") if name in case.query}
        case.query = {**filters, **more}
    else:
        del case.query["cursor"]
