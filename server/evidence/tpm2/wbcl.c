#include "server/evidence/tpm2/wbcl.h"

static const struct known {
    uint32_t id;
    enum wbcl_kind kind;
    const char *name;
} events[] = {
    {0x40010001, WBCL_CONTAINER, "TrustBoundary"},
    {0x40010002, WBCL_CONTAINER, "ELAMAggregation"},
    {0x40010003, WBCL_CONTAINER, "LoadedModuleAggregation"},
    {0xC0010004, WBCL_CONTAINER, "TrustpointAggregation"},
    {0x40010005, WBCL_CONTAINER, "KSRAggregation"},
    {0x40010006, WBCL_CONTAINER, "KSRSignedMeasurementAggregation"},
    {0x00020001, WBCL_BYTES, "Information"},
    {0x00020002, WBCL_NUMBER, "BootCounter"},
    {0x00020003, WBCL_BYTES, "TransferControl"},
    {0x00020004, WBCL_BYTES, "ApplicationReturn"},
    {0x00020005, WBCL_NUMBER, "BitlockerUnlock"},
    {0x00020006, WBCL_NUMBER, "EventCounter"},
    {0x00020007, WBCL_NUMBER, "CounterID"},
    {0x00020008, WBCL_NUMBER, "MORBitNotCancelable"},
    {0x00020009, WBCL_NUMBER, "ApplicationSVN"},
    {0x0002000A, WBCL_NUMBER, "SVNChainStatus"},
    {0x0002000B, WBCL_NUMBER, "MORBitAPIStatus"},
    {0x00030001, WBCL_BYTES, "FirmwareFailure"},
    {0x80030002, WBCL_BYTES, "TPMFailure"},
    {0x00030003, WBCL_BYTES, "InternalFailure"},
    {0x00040001, WBCL_BOOLEAN, "BootDebugging"},
    {0x00040002, WBCL_BYTES, "BootRevocationList"},
    {0x00050001, WBCL_BOOLEAN, "OSKernelDebug"},
    {0x00050002, WBCL_BOOLEAN, "CodeIntegrity"},
    {0x00050003, WBCL_BOOLEAN, "TestSigning"},
    {0x00050004, WBCL_NUMBER, "DataExecutionPrevention"},
    {0x00050005, WBCL_BOOLEAN, "SafeMode"},
    {0x00050006, WBCL_BOOLEAN, "WinPE"},
    {0x00050007, WBCL_NUMBER, "PhysicalAddressExtension"},
    {0x00050008, WBCL_NUMBER, "OSDevice"},
    {0x00050009, WBCL_TEXT, "SystemRoot"},
    {0x0005000A, WBCL_NUMBER, "HypervisorLaunchType"},
    {0x0005000B, WBCL_TEXT, "HypervisorPath"},
    {0x0005000C, WBCL_NUMBER, "HypervisorIOMMUPolicy"},
    {0x0005000D, WBCL_BOOLEAN, "HypervisorDebug"},
    {0x0005000E, WBCL_NUMBER, "DriverLoadPolicy"},
    {0x0005000F, WBCL_BYTES, "SIPolicy"},
    {0x00050010, WBCL_NUMBER, "HypervisorMMIONXPolicy"},
    {0x00050011, WBCL_NUMBER, "HypervisorMSRFilterPolicy"},
    {0x00050012, WBCL_NUMBER, "VSMLaunchType"},
    {0x00050013, WBCL_BYTES, "OSRevocationList"},
    {0x00050014, WBCL_NUMBER, "SMTStatus"},
    {0x00050020, WBCL_BYTES, "VSMIDKInfo"},
    {0x00050021, WBCL_BOOLEAN, "FlightSigning"},
    {0x00050022, WBCL_BOOLEAN, "PagefileEncryptionEnabled"},
    {0x00050023, WBCL_BYTES, "VSMIDKSInfo"},
    {0x00050024, WBCL_BOOLEAN, "HibernationDisabled"},
    {0x00050025, WBCL_BOOLEAN, "DumpsDisabled"},
    {0x00050026, WBCL_BOOLEAN, "DumpEncryptionEnabled"},
    {0x00050027, WBCL_BYTES, "DumpEncryptionKeyDigest"},
    {0x00050028, WBCL_NUMBER, "LSAISOConfig"},
    {0x00060001, WBCL_BOOLEAN, "NoAuthority"},
    {0x00060002, WBCL_BYTES, "AuthorityPubKey"},
    {0x00070001, WBCL_TEXT, "FilePath"},
    {0x00070002, WBCL_NUMBER, "ImageSize"},
    {0x00070003, WBCL_NUMBER, "HashAlgorithmID"},
    {0x00070004, WBCL_BYTES, "AuthenticodeHash"},
    {0x00070005, WBCL_TEXT, "AuthorityIssuer"},
    {0x00070006, WBCL_BYTES, "AuthoritySerial"},
    {0x00070007, WBCL_NUMBER, "ImageBase"},
    {0x00070008, WBCL_TEXT, "AuthorityPublisher"},
    {0x00070009, WBCL_BYTES, "AuthoritySHA1Thumbprint"},
    {0x0007000A, WBCL_BOOLEAN, "ImageValidated"},
    {0x0007000B, WBCL_NUMBER, "ModuleSVN"},
    {0x80080001, WBCL_BYTES, "Quote"},
    {0x80080002, WBCL_BYTES, "QuoteSignature"},
    {0x80080003, WBCL_TEXT, "AIKID"},
    {0x80080004, WBCL_BYTES, "AIKPubDigest"},
    {0x00090001, WBCL_TEXT, "ELAMKeyname"},
    {0x00090002, WBCL_BYTES, "ELAMConfiguration"},
    {0x00090003, WBCL_BYTES, "ELAMPolicy"},
    {0x00090004, WBCL_BYTES, "ELAMMeasured"},
    {0x000A0001, WBCL_BOOLEAN, "VBSVSMRequired"},
    {0x000A0002, WBCL_BOOLEAN, "VBSSecureBootRequired"},
    {0x000A0003, WBCL_BOOLEAN, "VBSIOMMURequired"},
    {0x000A0004, WBCL_BOOLEAN, "VBSNXRequired"},
    {0x000A0005, WBCL_BOOLEAN, "VBSMSRFilteringRequired"},
    {0x000A0006, WBCL_BOOLEAN, "VBSMandatoryEnforcement"},
    {0x000A0007, WBCL_BYTES, "VBSHVCIPolicy"},
    {0x000A0008, WBCL_BOOLEAN, "VBSMicrosoftBootChainRequired"},
    {0x000A0009, WBCL_BOOLEAN, "VBSDumpUsesAMERoot"},
    {0x000A000A, WBCL_BOOLEAN, "VBSVSMNoSecretsEnforced"},
    {0x000B0001, WBCL_BYTES, "KSRSignature"},
    {0x000C0001, WBCL_BYTES, "DRTMStateAuth"},
    {0x000C0002, WBCL_NUMBER, "DRTMSMMLevel"},
};

static const struct known *find(uint32_t id) {
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i].id == id) {
            return &events[i];
        }
    }
    return NULL;
}

enum status wbcl_next(struct bytes *data, struct wbcl_event *out) {
    struct bytes in = *data;
    struct wbcl_event event;
    if (in.len == 0) {
        return STATUS_END;
    }
    if (bytes_u32le(&in, &event.id) != STATUS_OK ||
        bytes_u32le_prefixed(&in, &event.data) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    *data = in;
    *out = event;
    return STATUS_OK;
}

const char *wbcl_name(uint32_t id) {
    const struct known *known = find(id);
    return known == NULL ? NULL : known->name;
}

enum wbcl_kind wbcl_kind(uint32_t id) {
    const struct known *known = find(id);
    return known == NULL ? WBCL_BYTES : known->kind;
}

bool wbcl_number(struct bytes data, uint64_t *out) {
    uint64_t value = 0;
    if (data.len != 1 && data.len != 2 && data.len != 4 && data.len != 8) {
        return false;
    }
    for (size_t i = data.len; i > 0; i--) {
        value = value << 8 | data.data[i - 1];
    }
    *out = value;
    return true;
}
