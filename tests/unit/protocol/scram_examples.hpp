#pragma once

// The worked examples of protocol.md 5.3: user "user", password "pencil".
struct ScramExample {
    const char* mechanism;
    const char* standard_name;
    const char* client_first;
    const char* server_first;
    const char* salted_password;
    const char* client_key;
    const char* stored_key;
    const char* server_key;
    const char* auth_message;
    const char* client_signature;
    const char* client_proof;
    const char* server_signature;
    const char* client_final;
    const char* server_final;
};

inline constexpr ScramExample scram_examples[] = {
    {
        "SCRAM-SHA1",
        "SCRAM-SHA-1",
        "n,,n=user,r=0123456789abcdef",
        "r=0123456789abcdeffedcba9876543210,s=AQgPFh0kKzI5QEdOVVxjanF4f4Y=,i=4096",
        "8b974495ae42dd17a6c5cae1fde6fd92c8fc48be",
        "c2529b6204362815f678428ad3ccb8712d98bc2d",
        "f2d6f6c804ffb58826d244171a2a3ddab575b42a",
        "d698a634a785c666b7a1ce156c9a4c65cd25ba99",
        "n=user,r=0123456789abcdef,r=0123456789abcdeffedcba9876543210,s=AQgPFh0kKzI5QEdOVVxjanF4f4Y=,i=4096,c=biws,r="
        "0123456789abcdeffedcba9876543210",
        "e9f90fc2b16a35f4fb6fc9b9043fea1a60f6de0b",
        "2bab94a0b55c1de10d178b33d7f3526b4d6e6226",
        "b556c05fc5ad15b664fcf350974552d48bfde591",
        "c=biws,r=0123456789abcdeffedcba9876543210,p=K6uUoLVcHeENF4sz1/NSa01uYiY=",
        "v=tVbAX8WtFbZk/PNQl0VS1Iv95ZE=",
    },
    {
        "SCRAM-SHA256",
        "SCRAM-SHA-256",
        "n,,n=user,r=0123456789abcdef",
        "r=0123456789abcdeffedcba9876543210,s=AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09o=,i=4096",
        "d9b912e5b064c3c12a80f485021a7c5e61cd8a82a892f943ee2fef2020a82ee9",
        "db10c1e4f45f494b87b7f39efd5fb8cfe205a82f8180513186cfe32fcab486d3",
        "1114d441eabcbdcb6f76d369da9e24b8f5ea11503819b8e43870c16fd5c0b976",
        "fcb0047dc0b2f9dcc782b0009d6a8ff923f14c80312e13bbb3ef499e23430d3f",
        "n=user,r=0123456789abcdef,r=0123456789abcdeffedcba9876543210,s=AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09o=,i="
        "4096,c=biws,r=0123456789abcdeffedcba9876543210",
        "10d0cf1560e2493d3005c3e6c3972bf3254648d314382ddf7205d53ffc952cce",
        "cbc00ef194bd0076b7b230783ec8933cc743e0fc95b87ceef4ca36103621aa1d",
        "6262676eebb75d5a7938a8a01f3dacaceb78600d934cf4c23c8bdaefa7b45a81",
        "c=biws,r=0123456789abcdeffedcba9876543210,p=y8AO8ZS9AHa3sjB4PsiTPMdD4PyVuHzu9Mo2EDYhqh0=",
        "v=YmJnbuu3XVp5OKigHz2srOt4YA2TTPTCPIva76e0WoE=",
    },
    {
        "SCRAM-SHA512",
        "SCRAM-SHA-512",
        "n,,n=user,r=0123456789abcdef",
        "r=0123456789abcdeffedcba9876543210,s=AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09rh6O/2/"
        "QQLEhkgJy41PENKUVhfZm10e4KJkJeepayzug==,i=4096",
        "86668a39925b15a00c67b59cc0e6657c7771f8f94c695d1edda55585b736eb514e9cc8cd7e784e5307a92742435ebb36bd3b6eb915559d"
        "08b704a3bb5751c3b5",
        "fd1374fa16f7148488cc328517d71282d738349c537267de29a7132b0aefc399a079ab022d23a172659bbffc9b470c7eec6aa7df3b752f"
        "23a514bdd29fb73cd6",
        "e06f024ea6aba0e25397c80fabef0397e3879e81cd38e3a805125660a66a67a0470ed2f8176e89a423619c3ef087b30319c845aeefa22e"
        "5b2edc5471ba95fd80",
        "22728fd5ef86ba06818f0a88fc2db44abe456669940b831130619b551695e493bef3b1ab4b546b68eb64f72d1e124a8cf76c50df36c65e"
        "3f77ef5be7e63d93d7",
        "n=user,r=0123456789abcdef,r=0123456789abcdeffedcba9876543210,s=AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09rh6O/"
        "2/QQLEhkgJy41PENKUVhfZm10e4KJkJeepayzug==,i=4096,c=biws,r=0123456789abcdeffedcba9876543210",
        "d149b677ae79e806593940418412e37a55ba8425a0dca6261e3f07a5acb21fe1c15659b1c23c43d22627b20967889cde8a2d2b65d09d4b"
        "7a4fc1e56b1506b2f1",
        "2c5ac28db88efc82d1f572c493c5f1f88282b0b9f3aec1f83798148ea65ddc78612ff2b3ef1fe2a043bc0df5fccf90a066478cbaebe864"
        "59ead558b98ab18e27",
        "8c494cfaf842eae20fede52f3639e6c00ae7c564118ae1cdad279135333a00bc847b852f583c9191dcf1edfca0ab1f93c2b2170fd84d41"
        "68f84263a976e42a55",
        "c=biws,r=0123456789abcdeffedcba9876543210,p=LFrCjbiO/ILR9XLEk8Xx+IKCsLnzrsH4N5gUjqZd3HhhL/Kz7x/"
        "ioEO8DfX8z5CgZkeMuuvoZFnq1Vi5irGOJw==",
        "v=jElM+vhC6uIP7eUvNjnmwArnxWQRiuHNrSeRNTM6ALyEe4UvWDyRkdzx7fygqx+TwrIXD9hNQWj4QmOpduQqVQ==",
    },
};
