using System.Text;

namespace ModelOps.Client;

/// <summary>Tells who receives an export how to verify it with standard tools.</summary>
internal static class PackageReadme
{
    public static byte[] Of(PackageManifest manifest, PackagedArtifact package)
    {
        var key = package.PublicKeys[0];
        var bundle = package.Bundle is null || key.Bundles is null ? "" :
            $"""

            ## The same for tools that know OpenSSF Model Signing
            `{PackageLayout.Bundle}` is an OMS v1.0 bundle over `{PackageLayout.Files}` by the P-256 key in `{PackageLayout.BundleKey}`:

                model_signing verify key {PackageLayout.Files} --signature {PackageLayout.Bundle} --public-key {PackageLayout.BundleKey}

            """;
        return Encoding.UTF8.GetBytes(
            $$"""
            # {{package.Artifact}}
            Exported by ModelOps. Manifest digest (SHA-256): `{{package.Digest}}`

            | file | what it is |
            | --- | --- |
            | `{{PackageLayout.Files}}` | the artifact's files |
            | `{{PackageLayout.Manifest}}` | what it is and how it was made: files with their SHA-256, parents, recipe, metrics (RFC 8785 JSON) |
            | `{{PackageLayout.Signature}}`, `{{PackageLayout.SigningKey}}` | the Ed25519 signature over it and the public key |
            | `{{PackageLayout.Envelope}}` | manifest and signature in one, as DSSE |
            | `{{PackageLayout.Parents}}`, `{{PackageLayout.Keys}}` | the signed manifests of everything that it was made from, and their keys |
            | `{{PackageLayout.Bom}}` | CycloneDX 1.6 ML-BOM |

            ## 1. Is the key the right one?
            A key that comes with the files proves nothing by itself. Ask the signer, by another way, for the fingerprint of `{{key.KeyId}}`
            ('modelops signing show'), and compare it with this one:

                openssl pkey -pubin -in {{PackageLayout.SigningKey}} -outform DER | tail -c 32 | sha256sum

            Here it was `{{key.Fingerprint}}`.

            ## 2. Did that key sign the manifest?
            What is signed is the DSSE encoding of the manifest:

                pae=$(mktemp)
                { printf 'DSSEv1 {{manifest.PayloadType.Length}} {{manifest.PayloadType}} {{manifest.Payload.Length}} '; cat {{PackageLayout.Manifest}}; } > "$pae"
                openssl pkeyutl -verify -pubin -inkey {{PackageLayout.SigningKey}} -rawin -in "$pae" -sigfile {{PackageLayout.Signature}}

            ## 3. Are the files those of the manifest?
            The first command checks the files against `{{PackageLayout.Sums}}`, the second that each of its digests is in the signed manifest:

                sha256sum --check --strict --quiet {{PackageLayout.Sums}}
                cut -c1-64 {{PackageLayout.Sums}} | while read -r digest; do grep -q "\"sha256\":\"$digest\"" {{PackageLayout.Manifest}} || exit 1; done
            {{bundle}}
            ## Into another ModelOps
            It verifies all of this, and the parents, before it registers anything:

                modelops signing trust {{PackageLayout.SigningKey}} --name "who signed it"
                modelops artifacts import .

            """);
    }
}
