"""The lives of alerts: what Alertmanager tells, what people see of it, and what they answer.

Alertmanager posts its webhook of version 4 (https://prometheus.io/docs/alerting/0.25/configuration/#webhook_config)
when an alert fires, is repeated, or ends. A life is (fingerprint, startsAt); it may be told twice, late, out of order.
What an alert says was made by our own rules, but whatever is told is kept as text, within limits. Answers are what
people write: they stay here, and go into no metric.
"""

from dataclasses import asdict
from datetime import datetime
from secrets import compare_digest
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from collector import bodies
from collector.api import bearer, is_of_this_machine
from collector.parts import Parts, parts_of
from collector.reading import person
from collector.store import alerts as lives
from collector.store.alerts import Alert, State, Told
from collector.store.people import Person
from contract.days import local_day, now
from contract.errors import BadRequestError, ForbiddenError, MalformedError, NotFoundError, UnauthorisedError
from contract.verdict import Verdict

router = APIRouter(prefix="/api/v1")
_MOST_ALERTS = 1000
_MOST_SHOWN = 500
_MAX_ANSWER_BODY = 32_768
# The alert whose end an indicator's verdict explains.
_BELOW = "IndicatorBelowTarget"


def _no_control(text: str) -> str:
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in text):
        raise ValueError("control character")
    return text


def _within_reason(moment: datetime) -> datetime:
    if not 2020 <= moment.year <= 2200:
        raise ValueError("no such year")
    return moment


_NoControl = AfterValidator(_no_control)
_Name = Annotated[str, StringConstraints(max_length=64), _NoControl]
_Value = Annotated[str, StringConstraints(max_length=256), _NoControl]
_Sentences = Annotated[str, StringConstraints(max_length=4000), _NoControl]


class TellAlert(BaseModel):
    """One alert of a webhook; what is not named here is not kept."""

    status: Literal["firing", "resolved"]
    labels: dict[_Name, _Value] = Field(max_length=40)
    annotations: dict[_Name, _Sentences] = Field(default={}, max_length=40)
    starts_at: Annotated[AwareDatetime, AfterValidator(_within_reason)] = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")
    fingerprint: str = Field(pattern="^[0-9a-zA-Z]{1,64}$")

    @model_validator(mode="after")
    def _whole(self) -> "TellAlert":
        if not self.labels.get("alertname"):
            raise ValueError("no alertname")
        if len(self.labels.get("facility", "")) > 64 or len(self.labels.get("indicator", "")) > 64:
            raise ValueError("too long")
        if self.status == "resolved":
            if self.ends_at is None:
                raise ValueError("no end")
            _within_reason(self.ends_at)
        return self

    def told(self) -> Told:
        """For the store."""
        return Told(
            fingerprint=self.fingerprint,
            starts_at=self.starts_at,
            # of a firing alert Alertmanager gives the year 1, or when it would give it up
            ends_at=self.ends_at if self.status == "resolved" else None,
            name=self.labels["alertname"],
            severity=self.labels.get("severity", ""),
            facility=self.labels.get("facility") or None,
            indicator=self.labels.get("indicator") or None,
            summary=self.annotations.get("summary", ""),
            description=self.annotations.get("description", ""),
            labels=self.labels,
        )


class Tell(BaseModel):
    """The body of Alertmanager's webhook."""

    version: Literal["4"]
    alerts: list[TellAlert] = Field(max_length=_MOST_ALERTS)


class Answer(BaseModel):
    """What a person says about an alert."""

    answer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), _NoControl]


_NAMES = {field.alias or name for shape in (Tell, TellAlert, Answer) for name, field in shape.model_fields.items()}


def _body(shape: type[BaseModel]) -> dict[str, Any]:
    schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def alertmanager(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    authorization: Annotated[str | None, Header()] = None,
) -> None:
    """Whoever tells alerts shows the token, when there is one. Raises UnauthorisedError."""
    token = parts.settings.alerts_token
    if token is not None and not compare_digest(bearer(authorization).encode(), token.encode()):
        raise UnauthorisedError("mã gửi cảnh báo không đúng")
    if token is None and not (parts.settings.is_loopback and is_of_this_machine(request)):
        raise UnauthorisedError("chưa khai báo alerts_token_file")


@router.post("/alerts", dependencies=[Depends(alertmanager)])
async def post_alerts(request: Request, parts: Annotated[Parts, Depends(parts_of)]) -> dict[str, int]:
    """Take what Alertmanager tells, all of it or nothing."""
    tell: Tell = _parsed(Tell, await bodies.read(request))
    return await run_in_threadpool(_keep, parts, tell, now())


def _keep(parts: Parts, tell: Tell, at: datetime) -> dict[str, int]:
    found = [
        (told, None if told.ends_at is None else _reason(parts, told, at)) for told in map(TellAlert.told, tell.alerts)
    ]
    with parts.store.write() as connection:
        for told, why in found:
            lives.keep(connection, told, at, why)
        lives.end_unheard(connection, at)
    return {"alerts": len(tell.alerts)}


def _reason(parts: Parts, told: Told, at: datetime) -> str | None:
    """Why an alert has ended: met, near, plan_over, closed, other; None when its end says no more than itself."""
    if told.name != _BELOW or told.facility is None or told.indicator not in parts.catalogue.indicators:
        return None
    place = parts.province.at(at).places.get(told.facility)
    now = None if place is None else place.standings["30d"].get(told.indicator)
    if place is None or now is None:
        return "other"
    if place.facility.active_to is not None and place.facility.active_to < local_day(at):
        return "closed"
    if now.bound is None and now.verdict is not Verdict.NOT_APPLICABLE:
        return "plan_over"
    return {Verdict.MET: "met", Verdict.NEAR: "near"}.get(now.verdict, "other")


@router.get("/alerts")
def get_alerts(
    parts: Annotated[Parts, Depends(parts_of)],
    caller: Annotated[Person, Depends(person)],
    facility: Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] = None,
    state: State = "all",
) -> dict[str, list[dict[str, Any]]]:
    """The newest 500; a person of a facility sees that one's only."""
    if caller.facility is not None and facility not in (None, caller.facility):
        raise NotFoundError("không có cơ sở này")
    with parts.store.read() as connection:
        found = lives.alerts(connection, facility or caller.facility, state, _MOST_SHOWN)
    return {"alerts": [asdict(one) for one in found]}


@router.post("/alerts/{alert_id}/answer", openapi_extra=_body(Answer))
async def post_answer(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    caller: Annotated[Person, Depends(person)],
    alert_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
) -> dict[str, Any]:
    """Say something about an alert; who said it and when is kept. A later answer takes the place of an earlier one."""
    said: Answer = _parsed(Answer, await bodies.read(request, _MAX_ANSWER_BODY))
    return asdict(await run_in_threadpool(answer, parts, caller, alert_id, said.answer, now()))


def answer(parts: Parts, caller: Person, alert_id: int, text: str, at: datetime) -> Alert:
    """Keep what somebody says about an alert.

    Raises NotFoundError, ForbiddenError (not a confirmer of the facility nor the Sở's administrator), BadRequestError
    (nothing said, too long, control characters).
    """
    try:
        text = Answer.model_validate({"answer": text.replace("\r\n", "\n")}).answer
    except ValidationError:
        raise BadRequestError("câu trả lời dài từ 1 đến 2.000 ký tự, không có ký tự điều khiển") from None
    with parts.store.write() as connection:
        found = lives.one(connection, alert_id)
        if found is None or caller.facility not in (None, found.facility):
            raise NotFoundError("không có cảnh báo này")
        if caller.role not in ("admin", "confirmer"):
            raise ForbiddenError("chỉ người xác nhận của cơ sở và quản trị của Sở trả lời được cảnh báo")
        return lives.answer(connection, alert_id, text, caller.name, at)


def _parsed(shape: type[BaseModel], body: bytes) -> Any:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(bodies.places(error.errors(), _NAMES)) from None
    except RecursionError:
        raise MalformedError("lồng quá sâu") from None
