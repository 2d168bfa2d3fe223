"""The portal: what its pages keep."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "throttle",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_throttle")),
    )
    op.add_column("facility", sa.Column("merged_into", sa.Text(), nullable=True))
    op.add_column("facility", sa.Column("merged_on", sa.Date(), nullable=True))
    op.add_column("facility", sa.Column("merged_part", sa.Text(), nullable=True))
    op.create_table(
        "deputy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("facility", sa.Text(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("named_by", sa.Text(), nullable=False),
        sa.Column("named_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["facility"], ["facility.id"], name=op.f("fk_deputy_facility")),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_deputy_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deputy")),
    )
    op.create_index("ix_deputy_facility", "deputy", ["facility"], unique=False)
    op.create_table(
        "reminder",
        sa.Column("facility", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["facility"], ["facility.id"], name=op.f("fk_reminder_facility")),
        sa.PrimaryKeyConstraint("facility", "period", "stage", "address", name=op.f("pk_reminder")),
    )
    op.create_table(
        "month_count",
        sa.Column("facility", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("measures", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["facility"], ["facility.id"], name=op.f("fk_month_count_facility")),
        sa.PrimaryKeyConstraint("facility", "month", name=op.f("pk_month_count")),
    )
    op.create_table(
        "evidence",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_evidence")),
    )
    with op.batch_alter_table("manual_figure", schema=None) as batch_op:
        batch_op.add_column(sa.Column("file", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("file_name", sa.Text(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_manual_figure_file"), "evidence", ["file"], ["digest"])
    op.create_table(
        "upload",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("facility", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["facility"], ["facility.id"], name=op.f("fk_upload_facility")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index("ix_upload_facility", "upload", ["facility", "at"], unique=False)
    op.create_table(
        "report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("facility", sa.Text(), nullable=True),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["facility"], ["facility.id"], name=op.f("fk_report_facility")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
    )
    op.create_index("ix_report_facility", "report", ["facility"], unique=False)
    op.create_index("ix_report_state", "report", ["state"], unique=False)
    _let_sources_be_without_agent()


def _let_sources_be_without_agent() -> None:
    """Sheets that people upload come from no agent."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("source", "agent", existing_type=sa.Text(), nullable=True)
        return
    # SQLite cannot alter a column, and a table to which others point cannot be rebuilt while they do. To take away
    # NOT NULL changes nothing on disk but the text of the schema (sqlite.org/lang_altertable.html, "otheralter").
    version = op.get_bind().exec_driver_sql("PRAGMA schema_version").scalar_one()
    op.execute("PRAGMA writable_schema = ON")
    op.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, 'agent TEXT NOT NULL', 'agent TEXT') "
        "WHERE type = 'table' AND name = 'source'"
    )
    op.execute(f"PRAGMA schema_version = {version + 1}")
    op.execute("PRAGMA writable_schema = OFF")
