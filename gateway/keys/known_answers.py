"""Published examples with known answers, for the tests at the start under `[security] fips` (FIPS 140-3, 7.10.2).

Each stands with its source. The private keys among them are examples that everybody knows; they protect nothing.
Leaves out: examples of what the gateway never does.
"""

from __future__ import annotations

from typing import Final

# NIST CAVP, SHA256ShortMsg.rsp (CAVS 11.0), Len = 512.
SHA256_MESSAGE: Final = bytes.fromhex(
    "5a86b737eaea8ee976a0a24da63e7ed7eefad18a101c1211e2b3650c5187c2a8a650547208251f6d4237e661c7bf4c77f335"
    "390394c37fa1a9f9be836ac28509"
)
SHA256_DIGEST: Final = bytes.fromhex("42e61e174fbb3897d6dd6cef3dd2802fe67b331953b06114a65c772859dfc1aa")

# RFC 4231 4.3, test case 2: the HMAC with SHA-256 that NIST points to beside FIPS 198-1.
HMAC_KEY: Final = b"Jefe"
HMAC_MESSAGE: Final = b"what do ya want for nothing?"
HMAC_DIGEST: Final = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")

# NIST CAVP, gcmEncryptExtIV256.rsp, [IVlen = 96, PTlen = 128, AADlen = 128, Taglen = 128], Count = 0.
GCM_KEY: Final = bytes.fromhex("92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b")
GCM_NONCE: Final = bytes.fromhex("ac93a1a6145299bde902f21a")
GCM_PLAIN: Final = bytes.fromhex("2d71bcfa914e4ac045b2aa60955fad24")
GCM_BOUND: Final = bytes.fromhex("1e0889016f67601c8ebea4943bc23ad6")
GCM_SEALED: Final = bytes.fromhex("8995ae2e6df3dbf96fac7b7137bae67feca5aa77d51d4a0a14d9c51e1da474ab")

# NIST CAVP, KW_AE_256.txt (CAVS 17.4), [PLAINTEXT LENGTH = 256], COUNT = 0 (SP 800-38F).
KW_KEY: Final = bytes.fromhex("8b54e6bc3d20e823d96343dc776c0db10c51708ceecc9a38a14beb4ca5b8b221")
KW_PLAIN: Final = bytes.fromhex("d6192635c620dee3054e0963396b260af5c6f02695a5205f159541b4bc584bac")
KW_WRAPPED: Final = bytes.fromhex("b13eeb7619fab818f1519266516ceb82abc0e699a7153cf26edcb8aeb879f4c011da906841fc5956")

# pyca/cryptography, oaep-sha256-sha256.txt, example 1: made from NIST's OAEP examples for SHA-256 (SP 800-56B).
OAEP_P: Final = int(
    "e7e2f373592c2b9919851f238f1b1b67e9c761bbf252b334d5a12a6ea66974a1cb5f57dfa0595298f143ef958f7450571c31"
    "c682b91ea26a0349383088cbedd87e7edc6cb5287a56d7f73c31d02df6e3c58b01c27efdac951e279a3318951520c44c3903"
    "e5dc793c3cdacc40ad06551bd219bd6ecfd1c3f4f8ea513674ab286d",
    16,
)
OAEP_Q: Final = int(
    "cc2279fb888ba03c22c6613bb1466c9e2cd161d99bbec2f75af82cf7f0e43eb1a8a8bc23c24fc2838bffb94e791811073da5"
    "5c53e07e1fec63cefd066dc631e25e74dae715ab3cc18b5e56ff2a786ddee92d32dc5bd4df849cb8246e3f42c1279985c5cb"
    "6909b0630424dc8a82d5604387e95fbb248720636b8e7208ca1f0639",
    16,
)
OAEP_D: Final = int(
    "4af58aa7e7776341814a7542247d229ef6dbb1397dd0789cba6cdd60728a7b80ce72e6aeb2aa6c710105f9555a20a4d1cc49"
    "dbb42f1ec249b9c5764a3abef222f9fd2547e3380e4ddd327e20a1373c61518300bcd00c6664a251258c4e6953847d0f3a0b"
    "65c8e3022fb70fa53a28a2fd0de18692e2cf99889024f3b92dd2d49870a5de6f11827feade31bdc8889148968fad08b79400"
    "7f68524a3bbce886dee240cb18f0b14e22ebfe5b04a4f1a73c9ed56adc0881b9aca2a02a776a2df2843b3cca528c8dca70db"
    "0a72baa978e8e11ef833f298403003de5820cf6d54d58de1753aac48aae6911a55f9d393a829fd4169799365b7a4015c5911"
    "277937bb1501",
    16,
)
OAEP_E: Final = 0x10001
OAEP_PLAIN: Final = bytes.fromhex("6628194e12073db03ba94cda9ef9532397d50dba79b987004afefe34")
OAEP_WRAPPED: Final = bytes.fromhex(
    "6afdbc76de74458198a9c890cc5abb52580af01c2096036dca104d67f96a05de682da5c26970a808343527440aa80b9d0430"
    "45d7983f442a3d376e5b039bcfb96c1b5fd0e46b5fff85646273293ced5e7272993850017f24f6133591d5c9788781a99528"
    "73ebfc45ad4d34fff2b4e9ababf49d9f9a3d7726bdce3eb2feb545db5cfef0b183bd55735a2d356b4278c5580ce0e4cfd21a"
    "0a3ad3b225de388fcfd688394710f97d5a3933e01d434fcff732542390f8915d5d291780ed63d425c0bea5bb0ad25aae3a70"
    "355e3f45a443ea111b80515b743d5bd226d339dc7516ce6c41414a0aa978198bc6762f443e957c7be5edbd25fcdd226c5d96"
    "7fa05d7c9079"
)

# NIST CAVP, SigVer15_186-3.rsp, [mod = 2048], SHA256, the first that passes (FIPS 186-5 5.4, PKCS #1 v1.5).
RSA_P: Final = int(
    "bf96de108963b5113399b664765efe046e2dafdb70d6e5e29dc6ec89b789b059348d74d89129c7ade9ddb404c6dc3a3437c7"
    "fc9f23bc38dadc8ffd0ff757999f5c2d510b993056147ccdf421e03d0be2c74ec333a9677c430cc604f5550d0d86defdde71"
    "488e3db889c699a5cacb44dcdae2f3cca38695e783e6f6250827efb1",
    16,
)
RSA_Q: Final = int(
    "e1e7e33618d1b64d6862c132e4b1cd5fabad20ce62bd97bce2a3f5ad2da67bb0a7f0b9e48335a33b7b95e77ec4c47e914168"
    "81f9f7c23f9bc1918cc644335c74260e90cd7b2e0fed802f19e78c5ed80a431b38630d82f982c74a0381b8ecf943c60810fa"
    "e90574e216357b2535002316d9529cb56420f3cc82dea37cb624e1e3",
    16,
)
RSA_D: Final = int(
    "290d117f97d672f3647c2b24402832b153d22a25820567688645ed95ffa6e38d116347486ab4b485c27aef4962653bb60257"
    "ef82256785a1d3d52aa0e0b94c37279dee7bb308688aaee98108de6f1373ed2c12429c9b8770756c12c03908b346b129f963"
    "bfaa38a8937190cc656f057ef1a812dd0312f51285c4f46f9241f3028ea6a61db0e9255976469f5d5542ced55ee2d6f4afe7"
    "66c0a70f49871d369dd8f3a82a7141639efd4a1f4a4009821c3c2b9f5c5f5eef99a5f00fbd8bc8191a3654e8f8d8ce12d90e"
    "5ff2a4c530b76306c8c56e0549a6f277ab2af3a60cccbf4bb4b2cb47f04f211f8b86aa653bf6913f3b5ed190c51b5958e405"
    "97a2dfd30061",
    16,
)
RSA_E: Final = 0x10001
RSA_MESSAGE: Final = bytes.fromhex(
    "6918d6328ca0a8b64bbe81d91cdea519911b59fc2dbd53af76006fec4b18a320787135ce883b2b2edb26041bf86aa52c230b"
    "9620335b6e7f9ec08c7ed6b70823d819e9ab019e9929249f966fdb2069311a0ddc680ac468f514d4ed873b04a6beb0985b91"
    "a0cfd8ed51b09f9e6d06da739eaa939d5a00275901c4f8cf25076339"
)
RSA_SIGNATURE: Final = bytes.fromhex(
    "794d0a45bc9fc6febb586e319dfa6924c888594802b9deb9668963fdb309bf02817960a7457106fc474f91601436e8954cbb"
    "6815350b2c51b53c968d2c48cc1799550d5d03b41f6e5a8c3c264d2e2fe0b5b8ff53fdcb9dd111c985cb488d7086e6548b40"
    "77ec00721c9cb500fe07a031c2030e8ad1dd0112c34ffd9091d77a187aac8661b298eee39eb615f9715c4c48a6762ede55a4"
    "66ec7f3cdb6a937cfc80188a85d8f8d3a2a80b199ce5e6375af8f02f06d706a34d9cf38318903965db54aaa7d3fa7a7ee580"
    "34cd58c8435739c8906366e2ddba293f2fb2c15f07fa4951014471e7f677d3bdacffc4c68a906e08d68b39f9010746cbacd2"
    "2980cee73e8d"
)

# NIST CAVP, SigGen.txt of ECDSA (FIPS 186-3), [P-256,SHA-256], the first.
ECDSA_MESSAGE: Final = bytes.fromhex(
    "5905238877c77421f73e43ee3da6f2d9e2ccad5fc942dcec0cbd25482935faaf416983fe165b1a045ee2bcd2e6dca3bdf46c"
    "4310a7461f9a37960ca672d3feb5473e253605fb1ddfd28065b53cb5858a8ad28175bf9bd386a5e471ea7a65c17cc934a9d7"
    "91e91491eb3754d03799790fe2d308d16146d5c9b0d0debd97d79ce8"
)
ECDSA_D: Final = int("519b423d715f8b581f4fa8ee59f4771a5b44c8130b4e3eacca54a56dda72b464", 16)
ECDSA_X: Final = int("1ccbe91c075fc7f4f033bfa248db8fccd3565de94bbfb12f3c59ff46c271bf83", 16)
ECDSA_Y: Final = int("ce4014c68811f9a21a1fdb2c0e6113e06db7ca93b7404e78dc7ccd5ca89a4ca9", 16)
ECDSA_R: Final = int("f3ac8061b514795b8843e3d6629527ed2afd6b1f6a555a7acabb5e6f79c8c2ac", 16)
ECDSA_S: Final = int("8bf77819ca05a6b2786c76262bf7371cef97b218e96f175a3ccdda2acc058903", 16)

# RFC 8032 7.1, TEST 3 (FIPS 186-5 7).
ED25519_SECRET: Final = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
ED25519_MESSAGE: Final = bytes.fromhex("af82")
ED25519_SIGNATURE: Final = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c"
    "15e9716ed28dc027beceea1ec40a"
)

# NIST ACVP-Server, PBKDF-1.0, test case 61: HMAC with SHA-512 (SP 800-132).
PBKDF2_PASSWORD: Final = b"FexVJfnuoh"
PBKDF2_SALT: Final = bytes.fromhex("4002292553783f5cc221ae9c24e915e6df1e24009093bbbd")
PBKDF2_ROUNDS: Final = 48255
PBKDF2_KEY: Final = bytes.fromhex("de8d488f683a255e438343f3ce3b24")

# NIST CAVP, KDFCTR_gen.rsp, [PRF=HMAC_SHA256, CTRLOCATION=BEFORE_FIXED, RLEN=32_BITS], L = 256, the first (SP 800-108).
KDF_KEY: Final = bytes.fromhex("e204d6d466aad507ffaf6d6dab0a5b26152c9e21e764370464e360c8fbc765c6")
KDF_FIXED: Final = bytes.fromhex(
    "7b03b98d9f94b899e591f3ef264b71b193fba7043c7e953cde23bc5384bc1a6293580115fae3495fd845dadbd02bd6455cf4"
    "8d0f62b33e62364a3a80"
)
KDF_DERIVED: Final = bytes.fromhex("770dfab6a6a4a4bee0257ff335213f78d8287b4fd537d5c1fffa956910e7c779")
