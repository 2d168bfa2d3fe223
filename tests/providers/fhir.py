"""A FHIR R4 server over resources in memory: search by date, paging, `_elements`, `_summary=count`, OperationOutcome.

It keeps what Synthea's bundles hold (tests read them from shared/samples, or the excerpt beside the kind).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from contract.days import LOCAL
from tests.providers.server import Reply, Request, as_json

Resource = dict[str, Any]
_ALWAYS = {"resourceType", "id", "meta"}


def resources_of(bundles: Iterable[Path]) -> list[Resource]:
    """Every resource of transaction bundles."""
    return [entry["resource"] for path in bundles for entry in json.loads(path.read_text("utf-8")).get("entry", [])]


def outcome(code: str, status: int, severity: str = "error") -> Reply:
    issue = {"severity": severity, "code": code, "diagnostics": "MARK-DIAGNOSTICS Nguyễn Thị A"}
    return as_json({"resourceType": "OperationOutcome", "issue": [issue]}, status)


@dataclass(slots=True)
class FhirApp:
    """`authorization`: what the header must say; `kinds`: the types it keeps; `origin` begins its next links."""

    resources: list[Resource]
    authorization: str = ""
    base: str = "/fhir"
    origin: str = ""
    kinds: set[str] = field(default_factory=lambda: {"Encounter", "Composition", "DocumentReference"})
    ignores_dates: bool = False
    page_at_most: int = 1000

    def __call__(self, request: Request) -> Reply:
        if self.authorization and request.headers.get("authorization") != self.authorization:
            return outcome("login", 401)
        kind = request.path.removeprefix(f"{self.base}/")
        if kind not in self.kinds:
            return outcome("not-supported", 404)
        found = [one for one in self.resources if one["resourceType"] == kind and self._matches(one, request)]
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": []}
        if request.all("_summary") == ["count"]:
            return as_json(bundle)
        size = min(int((request.all("_count") or ["20"])[0]), self.page_at_most)
        start = int((request.all("_offset") or ["0"])[0])
        elements = {name for text in request.all("_elements") for name in text.split(",")}
        bundle["entry"] = [
            {"fullUrl": f"urn:uuid:{one['id']}", "resource": _cut(one, elements), "search": {"mode": "match"}}
            for one in found[start : start + size]
        ]
        if start + size < len(found):
            query = [pair for pair in request.query if pair[0] != "_offset"] + [("_offset", str(start + size))]
            bundle["link"].append({"relation": "next", "url": f"{self.origin}{request.path}?{urlencode(query)}"})
        return as_json(bundle)

    def _matches(self, resource: Resource, request: Request) -> bool:
        if self.ignores_dates:
            return True
        period = resource.get("period", {})
        first = _moment(str(period.get("start") or resource.get("date")))
        last = _moment(str(period.get("end") or period.get("start") or resource.get("date")))
        for bound in request.all("date"):
            limit = _moment(bound[2:])
            # A period matches when it overlaps: one without an end goes on for ever.
            if bound.startswith("ge") and "end" in period and last < limit:
                return False
            if bound.startswith("ge") and "start" not in period and first < limit:
                return False
            if bound.startswith("lt") and first >= limit:
                return False
        return True


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=LOCAL)


def _cut(resource: Resource, elements: set[str]) -> Resource:
    if not elements:
        return resource
    return {name: value for name, value in resource.items() if name in elements | _ALWAYS}
