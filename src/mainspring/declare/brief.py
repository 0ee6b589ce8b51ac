"""The brief: the questions a design must answer before it is built, and the team's answers."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mainspring.declare.value import Declared

__all__ = ["QUESTIONS", "Brief"]

QUESTIONS = {
    "goal": "What decision gets better, for whom, and how would they notice?",
    "why_learning": "Why is a rule or a lookup not enough?",
    "success": "Which business figure must move, by how much, by when?",
    "users": "Who reads the prediction, and what do they do with it?",
    "harm": "What happens when it is wrong, and who bears it?",
    "fairness": "Which groups could it treat worse, and how is that watched?",
    "privacy": "Which facts are personal, why may they be used, how long are they kept?",
    "feedback": "Does the decision change the labels that are learned from?",
    "latency": "How fast must an answer be, and how old may its facts be?",
    "volume": "How many decisions a day, and at the peak?",
    "fallback": "What answers when the model cannot?",
    "owner": "Who is called when it breaks?",
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Brief(Declared):
    """The design questions and their answers; the lint lists those that are open. See QUESTIONS for the full wording."""

    goal: str = ""
    why_learning: str = ""
    success: str = ""
    users: str = ""
    harm: str = ""
    fairness: str = ""
    privacy: str = ""
    feedback: str = ""
    latency: str = ""
    volume: str = ""
    fallback: str = ""
    owner: str = ""

    def answers(self) -> dict[str, str]:
        """The questions in full with their answers, in order; an open one has an empty answer."""
        return {QUESTIONS[f.name]: getattr(self, f.name).strip() for f in fields(self) if f.name in QUESTIONS}
