"""The table of built-in recognizers: a new kind is a new file and a line here."""

from __future__ import annotations

from auditmw.recognizers import decoding
from auditmw.recognizers.card import CardRecognizer
from auditmw.recognizers.credentials import CredentialRecognizer
from auditmw.recognizers.crypto import CryptoRecognizer
from auditmw.recognizers.date import DateRecognizer
from auditmw.recognizers.email import EmailRecognizer
from auditmw.recognizers.iban import IbanRecognizer
from auditmw.recognizers.ip import IpRecognizer
from auditmw.recognizers.keywords import Keywords
from auditmw.recognizers.kubernetes import KubernetesSecretRecognizer
from auditmw.recognizers.marked_token import MarkedTokenRecognizer
from auditmw.recognizers.passport import PassportRecognizer
from auditmw.recognizers.password import PasswordRecognizer
from auditmw.recognizers.phone import PhoneRecognizer
from auditmw.recognizers.private_key import PrivateKeyRecognizer
from auditmw.recognizers.ssn import SsnRecognizer
from auditmw.recognizers.url import UrlRecognizer
from auditmw.recognizers.vendor_value import VendorValueRecognizer

RECOGNIZERS = (
    EmailRecognizer(),
    PhoneRecognizer(),
    CardRecognizer(),
    IbanRecognizer(),
    SsnRecognizer(),
    IpRecognizer(),
    UrlRecognizer(),
    CryptoRecognizer(),
    PassportRecognizer(),
    DateRecognizer(),
    MarkedTokenRecognizer(),
    VendorValueRecognizer(),
    PrivateKeyRecognizer(),
    CredentialRecognizer(),
    KubernetesSecretRecognizer(),
    PasswordRecognizer(),
)
KEYWORDS = Keywords(
    {recognizer.name: getattr(recognizer, "keywords", ()) for recognizer in RECOGNIZERS}
    | {decoding.OWNER: decoding.KEYWORDS}
)
