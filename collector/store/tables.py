"""The tables. Changes go through a migration; a test holds both against each other."""

from datetime import datetime

import sqlalchemy as sa

from contract.days import LOCAL

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(sa.TypeDecorator[datetime]):
    """An aware moment; SQLite keeps no offset, so what is stored is local time on every database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To local time."""
        return value and value.astimezone(LOCAL)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To local time, aware."""
        return value and (value.astimezone(LOCAL) if value.tzinfo else value.replace(tzinfo=LOCAL))


def _facility(primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("facility", sa.ForeignKey("facility.id"), nullable=False, primary_key=primary_key)


meta = sa.Table(
    "meta", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)

facility = sa.Table(
    "facility",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("ownership", sa.Text, nullable=False),
    sa.Column("area", sa.Text, nullable=False, server_default=""),
    sa.Column("email", sa.Text, nullable=False, server_default=""),
    sa.Column("active_from", sa.Date),
    sa.Column("active_to", sa.Date),
    # JSON list of indicator codes; NULL: all that the catalogue gives its level
    sa.Column("indicators", sa.Text),
    sa.Column("registered_at", Moment, nullable=False),
    sa.Column("last_push_at", Moment),
    # the facility for which its sources count from `merged_on` on, and the part as which they do; no foreign key:
    # SQLite would have to rebuild the table to which all others point
    sa.Column("merged_into", sa.Text),
    sa.Column("merged_on", sa.Date),
    sa.Column("merged_part", sa.Text),
    # moves with everything that may change what is shown of the facility
    sa.Column("change", sa.BigInteger, nullable=False, server_default="0"),
    # of these: with what changes more than the counts of the running day, and when sources were read
    sa.Column("past_change", sa.BigInteger, nullable=False, server_default="0"),
)
facility_code = sa.Table(
    "facility_code",
    metadata,
    _facility(primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("valid_from", sa.Date, primary_key=True),
    sa.Column("valid_to", sa.Date),
)
pause = sa.Table(
    "pause",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _facility(),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

agent = sa.Table(
    "agent",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("last_push_at", Moment),
    sa.Column("skew_seconds", sa.Float),
    sa.Column("waiting", sa.BigInteger),
    sa.Column("parked", sa.BigInteger),
)
agent_facility = sa.Table(
    "agent_facility",
    metadata,
    sa.Column("agent", sa.ForeignKey("agent.id"), primary_key=True),
    _facility(primary_key=True),
)
token = sa.Table(
    "token",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("agent", sa.ForeignKey("agent.id"), nullable=False, index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
    sa.Column("revoked_at", Moment),
)
enrolment_code = sa.Table(
    "enrolment_code",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    # the agent that enrols again; NULL: a new one
    sa.Column("agent", sa.ForeignKey("agent.id")),
    # JSON list of facility ids
    sa.Column("facilities", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
)
person = sa.Table(
    "person",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    # NULL: works at the Sở
    sa.Column("facility", sa.ForeignKey("facility.id")),
    sa.Column("token_hash", sa.Text, unique=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("full_name", sa.Text, nullable=False, server_default=""),
    sa.Column("email", sa.Text, nullable=False, server_default=""),
    # argon2; NULL: no password, logs in by single sign-on or not at all
    sa.Column("password_hash", sa.Text),
    sa.Column("must_change", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("locked_until", Moment),
    sa.Column("disabled_at", Moment),
    # who this is at the single sign-on
    sa.Column("subject", sa.Text, unique=True),
)
session = sa.Table(
    "session",
    metadata,
    # of the secret in the cookie
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("person", sa.ForeignKey("person.id"), nullable=False, index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
)
audit = sa.Table(
    "audit",
    metadata,
    # every change that a person made: who, what, before, after; only added to
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Moment, nullable=False, index=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    # of which facility, person, source …; a facility's people see what concerns it
    sa.Column("facility", sa.Text, index=True),
    sa.Column("subject", sa.Text, nullable=False),
    # JSON; never a secret
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
)

source = sa.Table(
    "source",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _facility(),
    sa.Column("name", sa.Text, nullable=False),
    # NULL: people of the facility upload sheets
    sa.Column("agent", sa.ForeignKey("agent.id"), index=True),
    sa.Column("kind", sa.Text, nullable=False, server_default=""),
    sa.Column("role", sa.Text, nullable=False, server_default="count"),
    sa.Column("part", sa.Text),
    # how often it has figures; NULL: as the catalogue says of the measure
    sa.Column("cadence", sa.Text),
    sa.Column("first_day", sa.Date),
    sa.Column("last_day", sa.Date),
    sa.Column("in_roster", sa.Boolean, nullable=False),
    sa.Column("ok", sa.Boolean),
    sa.Column("read_at", Moment),
    sa.Column("newest_day", sa.Date),
    sa.Column("since", Moment),
    sa.Column("error", sa.Text),
    sa.Column("failed", sa.Text, nullable=False, server_default="[]"),
    # JSON: measure → raw value → cases; measure → cases
    sa.Column("unmapped", sa.Text, nullable=False, server_default="{}"),
    sa.Column("unmapped_cases", sa.Text, nullable=False, server_default="{}"),
    sa.UniqueConstraint("facility", "name"),
)
claim = sa.Table(
    "claim",
    metadata,
    # the lower id claimed first
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.ForeignKey("source.id"), nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    # set when the source stays in the roster but no longer counts this measure
    sa.Column("last_day", sa.Date),
    sa.UniqueConstraint("source", "measure"),
)
tally = sa.Table(
    "tally",
    metadata,
    sa.Column("source", sa.ForeignKey("source.id"), primary_key=True),
    sa.Column("measure", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    # JSON: category → count, keys sorted, zeros left out
    sa.Column("counts", sa.Text, nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)
tally_log = sa.Table(
    "tally_log",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("source", sa.Integer, nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("counts", sa.Text, nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("replaced_at", Moment, nullable=False),
    sa.Index("ix_tally_log_key", "source", "measure", "day"),
)
month_count = sa.Table(
    "month_count",
    metadata,
    # a month of a facility, summed up; no row: not yet, or something in it has changed since
    _facility(primary_key=True),
    # its first day
    sa.Column("month", sa.Date, primary_key=True),
    # JSON: measure → [category → count, days with a tally as bits, days complete as bits]
    sa.Column("measures", sa.Text, nullable=False),
)

below = sa.Table(
    "below",
    metadata,
    # since when an indicator is below its target; no row: it is not
    _facility(primary_key=True),
    sa.Column("indicator", sa.Text, primary_key=True),
    sa.Column("since", Moment, nullable=False),
)
baseline = sa.Table(
    "baseline",
    metadata,
    # where a road begins: the share over the first complete days of a plan's period, frozen
    _facility(primary_key=True),
    sa.Column("indicator", sa.Text, primary_key=True),
    sa.Column("plan", sa.Text, primary_key=True),
    sa.Column("first_day", sa.Date, primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("numerator", sa.BigInteger, nullable=False),
    sa.Column("denominator", sa.BigInteger, nullable=False),
)
evidence = sa.Table(
    "evidence",
    metadata,
    # files behind manual figures, by the SHA-256 of what they hold; here rather than on the disk of one collector
    sa.Column("digest", sa.Text, primary_key=True),
    # pdf, png, jpeg, docx, xlsx: as its content says
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("added_at", Moment, nullable=False),
)
manual_figure = sa.Table(
    "manual_figure",
    metadata,
    # what people say of targets that no system tells; never changed, the newest of a day holds
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    # a decimal number as text
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("entered_at", Moment, nullable=False),
    sa.Column("file", sa.ForeignKey("evidence.digest")),
    sa.Column("file_name", sa.Text),
    sa.Index("ix_manual_figure_key", "plan", "code", "day"),
)
alert = sa.Table(
    "alert",
    metadata,
    # the life of an alert as Alertmanager told it, and what the hospital answered
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("starts_at", Moment, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    # as the labels say; not every alert is of a facility or an indicator
    sa.Column("facility", sa.Text, index=True),
    sa.Column("indicator", sa.Text),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    # JSON: label → value
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("heard_at", Moment, nullable=False),
    sa.Column("ends_at", Moment),
    # why it ended, in a word of ours
    sa.Column("ended", sa.Text),
    sa.Column("answer", sa.Text),
    sa.Column("answered_by", sa.Text),
    sa.Column("answered_at", Moment),
    sa.UniqueConstraint("fingerprint", "starts_at"),
)
signature = sa.Table(
    "signature",
    metadata,
    # one decision of one person on the figures of a month; never changed
    sa.Column("id", sa.Integer, primary_key=True),
    _facility(),
    # yyyy-mm
    sa.Column("period", sa.Text, nullable=False),
    # confirmed, disputed
    sa.Column("decision", sa.Text, nullable=False),
    # of the tallies and the definitions that were signed
    sa.Column("digest", sa.Text, nullable=False),
    # JSON: indicator → what was signed; indicator → why it is disputed
    sa.Column("figures", sa.Text, nullable=False),
    sa.Column("reasons", sa.Text, nullable=False, server_default="{}"),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Index("ix_signature_key", "facility", "period"),
)
deputy = sa.Table(
    "deputy",
    metadata,
    # who may sign for a facility on these days though it is not their role; only ended, never removed
    sa.Column("id", sa.Integer, primary_key=True),
    _facility(),
    sa.Column("person", sa.ForeignKey("person.id"), nullable=False),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    # the name of who named them
    sa.Column("named_by", sa.Text, nullable=False),
    sa.Column("named_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.Index("ix_deputy_facility", "facility"),
)
reminder = sa.Table(
    "reminder",
    metadata,
    # a mail that was sent, or is just being sent: nobody gets the same one twice
    _facility(primary_key=True),
    # yyyy-mm
    sa.Column("period", sa.Text, primary_key=True),
    # days before the date; -1: after it
    sa.Column("stage", sa.Integer, primary_key=True),
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("at", Moment, nullable=False),
)
upload = sa.Table(
    "upload",
    metadata,
    # what a sheet said that somebody uploaded: never the file, which may hold more than counts
    sa.Column("id", sa.Integer, primary_key=True),
    _facility(),
    # by name
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    # lines of the file that hold something
    sa.Column("lines", sa.Integer, nullable=False),
    # JSON: [measure, first day, last day, day that the tally carries, category → count]
    sa.Column("told", sa.Text, nullable=False),
    # JSON: what is to be said of lines and columns
    sa.Column("remarks", sa.Text, nullable=False),
    # NULL: only looked at so far
    sa.Column("accepted_at", Moment),
    sa.Column("accepted_by", sa.Text),
    # JSON: how many tallies were new, changed, the same, not taken
    sa.Column("result", sa.Text),
    sa.Index("ix_upload_facility", "facility", "at"),
)
report = sa.Table(
    "report",
    metadata,
    # reports that people have asked for, made in the background
    sa.Column("id", sa.Integer, primary_key=True),
    # NULL: on the province
    sa.Column("facility", sa.ForeignKey("facility.id"), index=True),
    # as in commands: 2026-11, 2026-Q4, 2026-10-15_2026-11-14
    sa.Column("period", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    # by name
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    # waiting, running, done, failed
    sa.Column("state", sa.Text, nullable=False, index=True),
    # which collector makes it, and until when unless it says again that it does
    sa.Column("holder", sa.Text),
    sa.Column("until", Moment),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("started_at", Moment),
    sa.Column("ended_at", Moment),
    # why it failed, in our own words
    sa.Column("problem", sa.Text),
    sa.Column("file_name", sa.Text),
    sa.Column("content", sa.LargeBinary),
)
throttle = sa.Table(
    "throttle",
    metadata,
    # tries of the running minute: at what, and from which network or in all
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("minute", Moment, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
)
lease = sa.Table(
    "lease",
    metadata,
    # which of several collectors does a job in the background
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", Moment, nullable=False),
)
