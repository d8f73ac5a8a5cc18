"""How much a column's name sounds like a user, an item, a time or a rating, in many languages."""

import re
import unicodedata


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Whole words. Those of four letters and more also count inside a longer word: `Kundennummer`.
WORDS = {
    "user": _listed(
        """
        user uid member customer client cust buyer shopper reviewer visitor account subscriber
        person player listener viewer reader guest household consumer
        kunde kunden kaufer kaeufer nutzer benutzer mitglied besteller konto
        utilisateur acheteur membre abonne utente cliente acquirente usuario comprador
        gebruiker klant
        """
    ),
    "item": _listed(
        """
        item iid product prod sku asin article movie film song track book isbn business listing
        offer ean gtin upc game app video news recipe poi venue course hotel restaurant place
        artikel produkt ware buch produit livre prodotto articolo libro producto articulo produto
        """
    ),
    "timestamp": _listed(
        """
        timestamp time ts date datetime epoch unix created when at purchased ordered visited moment
        datum zeit zeitpunkt zeitstempel uhrzeit bestellt heure horodatage data ora fecha hora
        tijd tijdstip
        """
    ),
    "rating": _listed(
        """
        rating ratings rate stars star score overall grade bewertung sterne punkte evaluation
        voto puntuacion valoracion calificacion nota waardering
        """
    ),
}
STAND_INS = {"user": _listed("session sessions device cookie")}  # where nothing better is there
IDS = _listed("id ids nr no num nummer numero number code key kennung identifier ref")
# What an attribute of a user or an item is called, rather than its id.
ATTRIBUTES = _listed(
    """
    name title price cost amount count qty quantity category brand type kind description text url
    image city country email age gender color size stock status order invoice transaction event
    row line index preis titel menge anzahl marke kategorie bestellung beschreibung
    prix titre nom commande prezzo nome precio nombre titulo
    """
)
OTHER_TIMES = _listed("update updated modified birth birthday delivery shipped end geburt expires")
SHORTEST_STEM = 4


def words_of(name: str) -> list[str]:
    """The words of a name in lower case without accents: ``KäuferNr`` has kaufer and nr."""
    parted = re.sub(r"([a-z0-9ß-ÿ])([A-Z])", r"\1 \2", name)
    plain = unicodedata.normalize("NFKD", parted).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z]+", plain)


def name_score(name: str, role: str) -> float:
    """From -0.6, for a name that says something else, over 0, to 1.2 for an evident one."""
    words = words_of(name)
    known = WORDS[role]
    stems = [stem for stem in known if len(stem) >= SHORTEST_STEM]
    is_id = any(word in IDS for word in words)
    score = 0.0
    if any(word in known or word.removesuffix("s") in known for word in words):
        score = 1.0
    elif any(stem in word for stem in stems for word in words):
        score = 0.8
        is_id = is_id or any(word.endswith(("id", "nr", "nummer", "code")) for word in words)
    elif any(stem in word for stem in STAND_INS.get(role, ()) for word in words):
        score = 0.2
    if role in ("user", "item"):
        score += 0.2 * is_id
        score -= 0.6 * any(word in ATTRIBUTES for word in words)
    if role == "timestamp":
        score -= 0.5 * any(word in OTHER_TIMES for word in words)
    return max(score, -0.6)
