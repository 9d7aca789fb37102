"""Names of Exchange's that a later version brings: refused by name, so that nobody trusts in what is not there.

The tables of conditions and actions win: what stands in them is not looked up here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

GROUPS: Final = "groups of a directory"
ATTRIBUTES: Final = "attributes of a directory"
DOCUMENTS: Final = "reading inside documents and archives"
SUPERVISION: Final = "supervision lists"
MODERATION: Final = "moderation"
RIGHTS: Final = "rights protection"
OPENING: Final = "opening protected mail for delivery inside"
IMPORT: Final = "the import from Exchange"
MORE: Final = "further conditions and actions"

CONDITIONS: Final = MappingProxyType(
    {
        "from_member_of": GROUPS,
        "sent_to_member_of": GROUPS,
        "any_of_to_header_member_of": GROUPS,
        "any_of_cc_header_member_of": GROUPS,
        "any_of_to_cc_header_member_of": GROUPS,
        "between_member_of1": GROUPS,
        "between_member_of2": GROUPS,
        "sender_ad_attribute_contains_words": ATTRIBUTES,
        "sender_ad_attribute_matches_patterns": ATTRIBUTES,
        "recipient_ad_attribute_contains_words": ATTRIBUTES,
        "recipient_ad_attribute_matches_patterns": ATTRIBUTES,
        "ad_comparison_attribute": ATTRIBUTES,
        "ad_comparison_operator": ATTRIBUTES,
        "manager_addresses": ATTRIBUTES,
        "manager_for_evaluated_user": ATTRIBUTES,
        "sender_management_relationship": ATTRIBUTES,
        "recipient_in_sender_list": SUPERVISION,
        "sender_in_recipient_list": SUPERVISION,
        "attachment_contains_words": DOCUMENTS,
        "attachment_matches_patterns": DOCUMENTS,
        "attachment_property_contains_words": DOCUMENTS,
        "attachment_is_password_protected": DOCUMENTS,
        "attachment_is_unsupported": DOCUMENTS,
        "attachment_processing_limit_exceeded": DOCUMENTS,
        "recipient_address_contains_words": MORE,
        "any_of_recipient_address_contains_words": MORE,
        "any_of_recipient_address_matches_patterns": MORE,
        "content_character_set_contains_words": MORE,
        "has_no_classification": MORE,
        "has_sender_override": MORE,
        "scl_over": MORE,
    }
)
ACTIONS: Final = MappingProxyType(
    {
        "apply_rights_protection_customization_template": RIGHTS,
        "remove_rms_attachment_encryption": OPENING,
        "remove_smime": OPENING,
        "moderate_message_by_user": MODERATION,
        "moderate_message_by_manager": MODERATION,
        "add_manager_as_recipient_type": ATTRIBUTES,
        "smtp_reject_message_reject_text": MORE,
        "smtp_reject_message_reject_status_code": MORE,
        "disconnect": MORE,
        "set_scl": MORE,
        "apply_classification": MORE,
        "generate_notification": MORE,
        "log_event_text": MORE,
    }
)
PROPERTIES: Final = MappingProxyType(
    {"recipient_address_type": ATTRIBUTES, "rule_sub_type": IMPORT, "dlp_policy": IMPORT, "use_legacy_regex": IMPORT}
)
