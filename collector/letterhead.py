"""Who sends the report: `[report]` of collector.toml. What nobody has filled in shows as dots in the document."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from collector.typography import clean

BLANK = "…"
_Text = Annotated[str, Field(max_length=200), AfterValidator(lambda text: clean(text) or BLANK)]


class Letterhead(BaseModel):
    """Names as they stand in sentences; the document makes them capitals where the form asks for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: _Text = BLANK
    """The body above: `Ủy ban nhân dân tỉnh …`."""
    issuer: _Text = BLANK
    """Who reports: `Sở Y tế`."""
    place: _Text = BLANK
    number_suffix: _Text = "BC-SYT"
    """What follows the number: `Số: …/BC-SYT`."""
    signer_title: tuple[_Text, ...] = Field(default=(BLANK,), min_length=1, max_length=3)
    """A line each: `KT. GIÁM ĐỐC`, `PHÓ GIÁM ĐỐC`."""
    recipients: tuple[_Text, ...] = Field(default=(BLANK,), min_length=1, max_length=20)
    """`UBND tỉnh (b/c)`; without the dash before and the mark after."""
