"""The section [branding] of gateway.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.section import Section

Text = Annotated[str, Field(max_length=1024)]


class Branding(Section):
    """How protected mail, code mails and the portal look. All texts are plain: HTML in them is shown as it stands."""

    name: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Name of the organisation, as recipients know it; default: [server] hostname.",
    )
    image: str | None = Field(
        None,
        description="File with the logo, PNG, JPEG or BMP, at most 200 KB; 170 by 70 pixels and 40 KB are best. "
        "It goes with each protected mail: nothing is loaded from elsewhere.",
    )
    background_color: str = Field(
        "#0b4f6c",
        pattern=r"^#[0-9A-Fa-f]{6}$",
        json_schema_extra={"right": "# and six hexadecimal digits, such as `#0b4f6c`"},
        description="Of the bar on top and of the button, as `#0b4f6c`; the letters on it are black or white, "
        "whichever is easier to read.",
    )
    introduction_text: Text | None = Field(
        None, description="Behind the sender's name and address; default: `has sent you a protected message.`"
    )
    read_button_text: Text | None = Field(None, description="On the button; default: `Read the message`.")
    email_text: Text | None = Field(None, description="Below the button, in a paragraph of its own; default: nothing.")
    disclaimer_text: Text | None = Field(None, description="At the end of each protected mail; default: nothing.")
    portal_text: str | None = Field(
        None, max_length=128, description="On top of the portal's pages; default: the name alone."
    )
    privacy_statement_url: str | None = Field(
        None,
        pattern=r"^https://[^\s\"'<>\\]+$",
        json_schema_extra={"right": "an address that begins with https://, without blanks and quotes"},
        max_length=1024,
        description="Address (https) of your privacy statement, linked in mail and portal; default: no link.",
    )
    hide_subject: bool = Field(
        False,
        description="The subject is inside alone: outside stands a general one. What a rule or program on the way "
        "does by the subject it then does no more.",
    )
    language: Literal["en", "de", "ar"] = Field(
        "en", description="Of protected mail and code mails; readers choose that of the portal's pages."
    )
