"""A message: something that a person wrote, to be judged by the moderation agent."""

from __future__ import annotations

from schemas.base import Contract, Moment, Name


class Message(Contract):
    """One message of one user at one moment (`occurred_at`, event time); `text` may be empty and of any length the broker takes."""

    id: Name
    occurred_at: Moment
    user_id: Name
    text: str
    channel_id: Name | None = None
    lang: Name | None = None
    reply_to: Name | None = None
    tenant: Name | None = None
