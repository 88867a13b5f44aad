"""The one table of labels: what each means, how severe it is by default, and what others call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
Kind = Literal["message", "transaction"]
KINDS: tuple[Kind, ...] = ("message", "transaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A harm with its definition, and its nearest names elsewhere (`None` where a vocabulary has no such thing)."""

    name: str
    kind: Kind
    severity: Severity
    definition: str
    openai: str | None = None
    perspective: str | None = None
    mlcommons: str | None = None


LABELS: tuple[Label, ...] = (
    Label(
        name="harassment", kind="message", severity="medium",
        definition="Insults, demeans or bullies a person, whether or not that person belongs to a protected group.",
        openai="harassment", perspective="INSULT", mlcommons=None,
    ),
    Label(
        name="hate", kind="message", severity="high",
        definition="Attacks, dehumanises or calls for exclusion of people for a protected characteristic such as race, religion or gender.",
        openai="hate", perspective="IDENTITY_ATTACK", mlcommons="S10: Hate",
    ),
    Label(
        name="threat", kind="message", severity="critical",
        definition="States an intent, or calls on others, to inflict violence or other harm on a person or group.",
        openai="harassment/threatening", perspective="THREAT", mlcommons="S1: Violent Crimes",
    ),
    Label(
        name="sexual", kind="message", severity="medium",
        definition="Sexual advances, harassment or explicit sexual content.",
        openai="sexual", perspective="SEXUALLY_EXPLICIT", mlcommons="S12: Sexual Content",
    ),
    Label(
        name="self_harm", kind="message", severity="critical",
        definition="The writer considers, plans or encourages suicide or self-injury; a call for help, not an offence.",
        openai="self-harm", perspective=None, mlcommons="S11: Suicide & Self-Harm",
    ),
    Label(
        name="spam", kind="message", severity="low",
        definition="Unasked bulk promotion: advertising, link dropping, begging for subscriptions.",
        openai=None, perspective="SPAM", mlcommons=None,
    ),
    Label(
        name="scam", kind="message", severity="high",
        definition="Deceives to obtain money, credentials or access: phishing, fake prizes, advance fees, impersonation.",
        openai="illicit", perspective=None, mlcommons="S2: Non-Violent Crimes",
    ),
    Label(
        name="profanity", kind="message", severity="info",
        definition="Swear words and obscene language, whether or not directed at anybody.",
        openai=None, perspective="PROFANITY", mlcommons=None,
    ),
    Label(
        name="fraud", kind="transaction", severity="high",
        definition="The payment was not made or not wanted by the holder of the card or account.",
    ),
)

BY_NAME: dict[str, Label] = {label.name: label for label in LABELS}
MESSAGE_LABELS: tuple[str, ...] = tuple(label.name for label in LABELS if label.kind == "message")
