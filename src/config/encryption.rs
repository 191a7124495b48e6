//! What an enterprise's connection says of encryption, beside the keys for it.
use super::reader::Reader;
use crate::saml;

/// Fills in the switches that stand at `path`, that of the connection, and faults those that could do nothing.
pub fn read(reader: &mut Reader, path: &str, settings: &mut saml::Settings) {
    let has_keys = reader.has(&format!("{path}.decryption_keys"));
    settings.encrypted = switch(reader, &format!("{path}.encrypted"), has_keys);
    let risks = [
        (
            "allow_padding_oracle_cbc",
            "takes AES-CBC, which whoever sees how a changed message fails can read",
            "set the IdP to AES-GCM; until then only signed Responses can hold AES-CBC",
            &mut settings.allow_padding_oracle_cbc,
        ),
        (
            "allow_bleichenbacher_rsa_1_5",
            "takes RSA PKCS #1 1.5, which whoever sees how a changed message fails can read",
            "set the IdP to RSA-OAEP; until then only signed Responses can hold RSA PKCS #1 1.5",
            &mut settings.allow_bleichenbacher_rsa_1_5,
        ),
    ];
    for (name, why, hint, setting) in risks {
        let key = format!("{path}.{name}");
        *setting = switch(reader, &key, has_keys);
        if *setting {
            let place = reader.place(&key);
            reader.warn(&place, &key, why, hint);
        }
    }
}

/// A switch that means something only with a key to decrypt with.
fn switch(reader: &mut Reader, path: &str, has_keys: bool) -> bool {
    let on = reader.switch(path);
    if on && !has_keys {
        let place = reader.place(path);
        reader.fault(&place, path, "is on, and decryption_keys is missing", "name a key in decryption_keys");
    }
    on
}
