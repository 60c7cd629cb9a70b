"""Which part of the body a scan shows, as far as its source names it."""

import re

from itermask.types import Source

# Words of the head go before all others: "head and neck" is a head, "foot-head" only a direction.
HEAD = (
    "head|brain|neuro|crani|skull|cerebr|cerebel|enceph|hippocamp|pituitar|sella|hypophys|"
    "kopf|sch[aä]del|gehirn|hirn|t[eê]te|cr[aâ]ne|cerveau|cabe[zcç]a|cr[aá]neo|testa|cervello|hoofd|hersen"
)
OTHER = (
    "knees?|hips?|ankles?|foot|feet|toes?|wrists?|hands?|fingers?|elbows?|shoulders?|legs?|thighs?|calf|calves|"
    "arms?|forearms?|femur|tibia|humerus|extremit(y|ies)|joints?|"
    "[ctl]{0,2}[- ]?spine|lumbar|thoracic|cervical|sacr(um|al)|sacroiliac|[hbl]ws|isg|"
    "abd|abdomen|abdominal|liver|pancreas|kidneys?|renal|spleen|mrcp|bowel|entero(graphy)?|rectum|rectal|"
    "pelvis|pelvic|prostate|uterus|bladder|breasts?|mamma|chest|thorax|lungs?|heart|cardiac|cardio|aorta|"
    "neck|larynx|thyroid|whole[- _]?body|wholebody|phantom|"
    "knie|h[uü]fte|schulter|ellenbogen|handgelenk|sprunggelenk|fu(ss|ß)|wirbels[aä]ule|becken|leber|herz|hals|brust|"
    "niere|oberschenkel|unterschenkel|phantommessung|"
    "genou|[eé]paule|hanche|cheville|poignet|coude|pied|rachis|foie|bassin|coeur|cœur|"
    "rodilla|hombro|cadera|tobillo|mu[nñ]eca|codo|columna|h[ií]gado|coraz[oó]n|"
    "ginocchio|spalla|caviglia|polso|gomito|piede|colonna|rachide|fegato|bacino|cuore|"
    "joelho|ombro|quadril|tornozelo|punho|cotovelo|coluna|f[ií]gado|schouder|heup"
)
_HEAD = re.compile(HEAD, re.IGNORECASE)
_OTHER = re.compile(rf"(?<![^\W\d_])({OTHER})(?![^\W\d_])", re.IGNORECASE)  # whole words
# Of BodyPartExamined, whose words are written together: `CSPINE`, `NECKCHEST`.
_OTHER_PART = re.compile(
    "spine|chest|abd|pelvi|knee|hip|ankle|foot|feet|toe|wrist|hand|finger|elbow|should|leg|thigh|calf|arm|femur|tib|"
    "humerus|extremity|joint|sacr|liver|pancrea|kidney|renal|spleen|prostat|uter|bladder|breast|lung|heart|cardi|aort|"
    "neck|larynx|thyroid|wholebody|whole body|phantom|lumbar|thora|cervix|cervical|clavicle|rib|sternum|scapula|rectum|"
    "bowel|colon|stomach|scrotum|fetus|placenta|coccyx|ilium|patella|radius|ulna|"
    "^(knie|hand|fuss|becken|hals)",
    re.IGNORECASE,
)


def not_a_head(source: Source) -> str:
    """Return why a scan is of another part of the body than the head; empty where nothing says so.

    The description of the series counts most, then its body part, then the description of the study.

    >>> not_a_head(Source(body_part="KNEE", series_description="T1 TSE SAG"))
    "not a head: its body part is 'KNEE'"
    >>> not_a_head(Source(body_part="BRAIN", series_description="T1 MPRAGE", study_description="Brain and C-spine"))
    ''
    """
    series, said = _series_says(source)
    if series == "other":
        return f"not a head: its description is '{said}'"
    if series == "head":
        return ""
    part = _part_says(source.body_part)
    if part == "other":
        return f"not a head: its body part is '{source.body_part}'"
    if part == "" and _says(source.study_description) == "other":
        return f"not a head: its study is '{source.study_description}'"
    return ""


def doubts(source: Source) -> tuple[str, ...]:
    """Return a sentence where description and body part contradict each other; else nothing.

    >>> doubts(Source(body_part="CSPINE", series_description="Brain T1"))
    ("The header gives the body part as 'CSPINE', but the description 'Brain T1' speaks of a head.",)
    """
    series, said = _series_says(source)
    if series != "head" or _part_says(source.body_part) != "other":
        return ()
    return (f"The header gives the body part as '{source.body_part}', but the description '{said}' speaks of a head.",)


def _series_says(source: Source) -> tuple[str, str]:
    """Return what the series' description, or else its protocol's name, speaks of; and that text."""
    for said in (source.series_description, source.protocol):
        if found := _says(said):
            return found, said
    return "", ""


def _says(text: str) -> str:
    """Return `head` or `other`, whichever a description speaks of; empty for neither."""
    if _HEAD.search(text):
        return "head"
    return "other" if _OTHER.search(text) else ""


def _part_says(part: str) -> str:
    """Return `head` or `other` for a body part; empty where it says neither."""
    if _HEAD.search(part):
        return "head"
    return "other" if _OTHER_PART.search(part) else ""
