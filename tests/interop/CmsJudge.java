// Bouncy Castle opens, seals, signs and verifies CMS for tests/interop/test_cms_bouncy_castle.py.
//
// It reads jobs from standard input, one a line, words separated by tabs, and answers each with a line: "ok", or
// "no" and why. Files are in DER; private keys are PKCS #8.
//
//     open KEY CERTIFICATE MESSAGE OUT
//     seal CERTIFICATE CONTENT OUT CIPHER KIND          CIPHER: cbc, gcm; KIND: pkcs1, oaep, or a digest of ECDH's KDF
//     sign KEY CERTIFICATE CONTENT OUT ALGORITHM opaque|clear
//     verify MESSAGE CONTENT|-

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.KeyTransRecipientId;
import org.bouncycastle.cms.KeyAgreeRecipientId;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;

public class CmsJudge {
    static final String AUTH_ENVELOPED = "1.2.840.113549.1.9.16.1.23";

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in));
        for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
            String[] words = line.split("\t");
            try {
                switch (words[0]) {
                    case "open": open(words); break;
                    case "seal": seal(words); break;
                    case "sign": sign(words); break;
                    case "verify": verify(words); break;
                    default: throw new IllegalArgumentException(words[0]);
                }
                System.out.println("ok");
            } catch (Throwable error) {
                System.out.println("no\t" + String.valueOf(error).replace('\n', ' '));
            }
            System.out.flush();
        }
    }

    static byte[] read(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    static X509Certificate certificate(String file) throws Exception {
        try (FileInputStream in = new FileInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(in);
        }
    }

    static PrivateKey privateKey(String file) throws Exception {
        return BouncyCastleProvider.getPrivateKey(PrivateKeyInfo.getInstance(read(file)));
    }

    static void open(String[] words) throws Exception {
        PrivateKey key = privateKey(words[1]);
        X509CertificateHolder holder = new X509CertificateHolder(read(words[2]));
        byte[] message = read(words[3]);
        boolean authentic = org.bouncycastle.asn1.cms.ContentInfo.getInstance(message).getContentType().getId().equals(AUTH_ENVELOPED);
        RecipientInformationStore infos = authentic
            ? new CMSAuthEnvelopedData(message).getRecipientInfos()
            : new CMSEnvelopedData(message).getRecipientInfos();
        boolean rsa = key.getAlgorithm().equals("RSA");
        Collection<RecipientInformation> found = infos.getRecipients(
            rsa
                ? new KeyTransRecipientId(holder.getIssuer(), holder.getSerialNumber())
                : new KeyAgreeRecipientId(holder.getIssuer(), holder.getSerialNumber()));
        Recipient recipient;
        if (!rsa) {
            recipient = new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC");
        } else if (authentic) {
            recipient = new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC");
        } else {
            recipient = new JceKeyTransEnvelopedRecipient(key).setProvider("BC");
        }
        Files.write(Path.of(words[4]), found.iterator().next().getContent(recipient));
    }

    static void seal(String[] words) throws Exception {
        X509Certificate one = certificate(words[1]);
        CMSProcessableByteArray content = new CMSProcessableByteArray(read(words[2]));
        boolean authentic = words[4].equals("gcm");
        CMSEnvelopedGenerator generator = authentic ? new CMSAuthEnvelopedDataGenerator() : new CMSEnvelopedDataGenerator();
        if (words[5].equals("pkcs1")) {
            generator.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(one).setProvider("BC"));
        } else if (words[5].equals("oaep")) {
            AlgorithmIdentifier oaep = new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(
                org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_RSAES_OAEP,
                new javax.crypto.spec.OAEPParameterSpec(
                    "SHA-384",
                    "MGF1",
                    java.security.spec.MGF1ParameterSpec.SHA256,
                    new javax.crypto.spec.PSource.PSpecified("label".getBytes())));
            generator.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(one, oaep).setProvider("BC"));
        } else {
            Map<String, ASN1ObjectIdentifier> schemes = Map.of(
                "sha1", CMSAlgorithm.ECDH_SHA1KDF,
                "sha256", CMSAlgorithm.ECDH_SHA256KDF,
                "sha384", CMSAlgorithm.ECDH_SHA384KDF,
                "sha512", CMSAlgorithm.ECCDH_SHA512KDF);
            KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC", "BC");
            int size = ((java.security.interfaces.ECPublicKey) one.getPublicKey()).getParams().getCurve().getField().getFieldSize();
            pairs.initialize(new ECGenParameterSpec("P-" + size));
            java.security.KeyPair pair = pairs.generateKeyPair();
            generator.addRecipientInfoGenerator(
                new JceKeyAgreeRecipientInfoGenerator(schemes.get(words[5]), pair.getPrivate(), pair.getPublic(), CMSAlgorithm.AES256_WRAP)
                    .addRecipient(one)
                    .setUserKeyingMaterial("thrown in".getBytes())
                    .setProvider("BC"));
        }
        ASN1ObjectIdentifier cipher = authentic ? CMSAlgorithm.AES256_GCM : CMSAlgorithm.AES256_CBC;
        JceCMSContentEncryptorBuilder builder = new JceCMSContentEncryptorBuilder(cipher).setProvider("BC");
        byte[] made = authentic
            ? ((CMSAuthEnvelopedDataGenerator) generator).generate(content, (OutputAEADEncryptor) builder.build()).getEncoded()
            : ((CMSEnvelopedDataGenerator) generator).generate(content, builder.build()).getEncoded();
        Files.write(Path.of(words[3]), made);
    }

    static void sign(String[] words) throws Exception {
        X509Certificate one = certificate(words[2]);
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(
            new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC").build(words[5], privateKey(words[1]), one));
        generator.addCertificates(new JcaCertStore(List.of(one)));
        CMSProcessableByteArray content = new CMSProcessableByteArray(read(words[3]));
        Files.write(Path.of(words[4]), generator.generate(content, words[6].equals("opaque")).getEncoded());
    }

    static void verify(String[] words) throws Exception {
        CMSSignedData data = words[2].equals("-")
            ? new CMSSignedData(read(words[1]))
            : new CMSSignedData(new CMSProcessableByteArray(read(words[2])), read(words[1]));
        int good = 0;
        for (SignerInformation signer : data.getSignerInfos()) {
            X509CertificateHolder holder = (X509CertificateHolder) data.getCertificates().getMatches(signer.getSID()).iterator().next();
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder))) {
                throw new IllegalStateException("the signature does not hold");
            }
            good++;
        }
        if (good == 0) {
            throw new IllegalStateException("nobody signed");
        }
    }
}
