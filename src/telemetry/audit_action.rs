//! What the audit log tells of, by name.
use serde::{Deserialize, Serialize};

/// What happened, by its name in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditAction {
    #[serde(rename = "org.add_member")]
    AddMember,
    #[serde(rename = "org.remove_member")]
    RemoveMember,
    #[serde(rename = "org.update_member")]
    UpdateMember,
    #[serde(rename = "org.cancel_invitation")]
    CancelInvitation,
    #[serde(rename = "org.invite_member")]
    InviteMember,
    /// The mail of an invitation goes out again.
    #[serde(rename = "org.resend_invitation")]
    ResendInvitation,
    #[serde(rename = "org.accept_invitation")]
    AcceptInvitation,
    /// Somebody could not accept an invitation.
    #[serde(rename = "org.invitation_refused")]
    InvitationRefused,
    /// The mail of an invitation reaches nobody.
    #[serde(rename = "org.invitation_failed")]
    InvitationFailed,
    #[serde(rename = "org.recovery_codes_generated")]
    RecoveryCodesGenerated,
    #[serde(rename = "org.recovery_code_used")]
    RecoveryCodeUsed,
    #[serde(rename = "org.recovery_code_failed")]
    RecoveryCodeFailed,
    #[serde(rename = "org.became_unowned")]
    BecameUnowned,
    /// The removal guard stopped a removal.
    #[serde(rename = "saml.provision_held")]
    ProvisionHeld,
    #[serde(rename = "org.hold_released")]
    HoldReleased,
    #[serde(rename = "org.pin_member")]
    PinMember,
    #[serde(rename = "org.unpin_member")]
    UnpinMember,
    #[serde(rename = "saml.groups_unknown")]
    GroupsUnknown,
    #[serde(rename = "saml.response_refused")]
    ResponseRefused,
    /// An IdP's LogoutRequest was accepted.
    #[serde(rename = "saml.logout_request")]
    LogoutRequest,
    /// An IdP answered a LogoutRequest of ours.
    #[serde(rename = "saml.logout_response")]
    LogoutResponse,
    #[serde(rename = "saml.logout_refused")]
    LogoutRefused,
    /// A person signed out here.
    #[serde(rename = "business.sign_out")]
    SignOut,
    /// The IdP's keys or endpoints changed by its metadata.
    #[serde(rename = "saml.metadata_changed")]
    MetadataChanged,
    /// The IdP's metadata was refused, could not be got, or ran out.
    #[serde(rename = "saml.metadata_refused")]
    MetadataRefused,
    /// A running gateway took up other settings of a connection.
    #[serde(rename = "business.update_saml_provider_settings")]
    UpdateSamlSettings,
    /// A response was accepted.
    #[serde(rename = "business.sso_response")]
    SsoResponse,
    #[serde(rename = "external_identity.provision")]
    ProvisionIdentity,
    /// A session was ended by its person elsewhere, or by an owner.
    #[serde(rename = "org.revoke_sso_session")]
    RevokeSsoSession,
    #[serde(rename = "personal_access_token.create")]
    CreateToken,
    #[serde(rename = "personal_access_token.revoke")]
    RevokeToken,
    /// An owner of an enterprise, or whoever runs the gateway, made a token for its identity provider.
    #[serde(rename = "scim_token.create")]
    CreateScimToken,
    #[serde(rename = "scim_token.revoke")]
    RevokeScimToken,
    /// A SCIM call about users, or about nobody in particular, that was carried out, and one that was not; then of groups.
    #[serde(rename = "external_identity.scim_api_success")]
    ScimUserCall,
    #[serde(rename = "external_identity.scim_api_failure")]
    ScimUserCallFailed,
    #[serde(rename = "external_group.scim_api_success")]
    ScimGroupCall,
    #[serde(rename = "external_group.scim_api_failure")]
    ScimGroupCallFailed,
    /// A person authorised a token for an organization.
    #[serde(rename = "org_credential_authorization.grant")]
    GrantCredential,
    /// A person withdrew that, or left the organization.
    #[serde(rename = "org_credential_authorization.deauthorized")]
    DeauthorizeCredential,
    /// An owner withdrew it.
    #[serde(rename = "org_credential_authorization.revoke")]
    RevokeCredential,
    /// An owner, or SCIM, put a person out.
    #[serde(rename = "external_identity.deprovision")]
    DeprovisionIdentity,
    /// An owner let a person in again.
    #[serde(rename = "external_identity.update")]
    UpdateIdentity,
    #[serde(rename = "org.revoke_external_identity")]
    RevokeExternalIdentity,
    /// An enterprise's owner took over an organization that had no owner.
    #[serde(rename = "org.claimed")]
    Claimed,
    #[serde(rename = "org.restore_member")]
    RestoreMember,
    /// What a dry run would have changed.
    #[serde(rename = "saml.plan_recorded")]
    PlanRecorded,
    #[serde(rename = "org.create")]
    CreateOrganization,
    #[serde(rename = "org.update")]
    UpdateOrganization,
    #[serde(rename = "external_group.provision")]
    ProvisionGroup,
    #[serde(rename = "external_group.update")]
    UpdateGroup,
    #[serde(rename = "external_group.update_display_name")]
    RenameGroup,
    #[serde(rename = "external_group.add_member")]
    AddGroupMember,
    #[serde(rename = "external_group.remove_member")]
    RemoveGroupMember,
    #[serde(rename = "external_group.delete")]
    DeleteGroup,
}

impl AuditAction {
    /// Its name in the log and in the store.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }
}
