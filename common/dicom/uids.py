"""Which objects are carried: the one table of storage SOP classes and transfer syntaxes.

What is offered to a peer, taken from a peer and printed in the conformance
statement comes from here.  Every class is taken in every syntax of the table,
because bytes pass through untouched whether they can be displayed or not
(DCM-04).  Classes that are not in it, private ones mostly, are taken where a
setting names them.  UIDs of our own lie under 2.25 (PS3.5 B.2), which needs no
registration.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

VERIFICATION = "1.2.840.10008.1.1"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"

#: Names this implementation on the wire and in files (PS3.7 D.3.3.2); never changes.
IMPLEMENTATION_CLASS_UID = "2.25.291088156479220624263212315147225256180"


def _implementation_version() -> str:
    try:
        number = version("todoke")
    except PackageNotFoundError:
        number = "0"
    return f"TODOKE_{number}"[:16]  # PS3.7 D.3.3.2.3: at most 16 characters


IMPLEMENTATION_VERSION = _implementation_version()

#: Transfer syntax UID -> name (PS3.6 A.1, PS3.5 annex A; DCM-04 and the video of endoscopes).
#: Retired ones too: archives hold them, and nobody may encode them anew on the way.
TRANSFER_SYNTAXES: dict[str, str] = {
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2.1.98": "Encapsulated Uncompressed Explicit VR Little Endian",
    "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
    "1.2.840.10008.1.2.2": "Explicit VR Big Endian (retired)",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
    "1.2.840.10008.1.2.4.51": "JPEG Extended (Process 2 and 4)",
    "1.2.840.10008.1.2.4.52": "JPEG Extended (Process 3 and 5, retired)",
    "1.2.840.10008.1.2.4.53": "JPEG Spectral Selection (Process 6 and 8, retired)",
    "1.2.840.10008.1.2.4.54": "JPEG Spectral Selection (Process 7 and 9, retired)",
    "1.2.840.10008.1.2.4.55": "JPEG Full Progression (Process 10 and 12, retired)",
    "1.2.840.10008.1.2.4.56": "JPEG Full Progression (Process 11 and 13, retired)",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless (Process 14)",
    "1.2.840.10008.1.2.4.58": "JPEG Lossless (Process 15, retired)",
    "1.2.840.10008.1.2.4.59": "JPEG Extended, Hierarchical (Process 16 and 18, retired)",
    "1.2.840.10008.1.2.4.60": "JPEG Extended, Hierarchical (Process 17 and 19, retired)",
    "1.2.840.10008.1.2.4.61": "JPEG Spectral Selection, Hierarchical (Process 20 and 22, retired)",
    "1.2.840.10008.1.2.4.62": "JPEG Spectral Selection, Hierarchical (Process 21 and 23, retired)",
    "1.2.840.10008.1.2.4.63": "JPEG Full Progression, Hierarchical (Process 24 and 26, retired)",
    "1.2.840.10008.1.2.4.64": "JPEG Full Progression, Hierarchical (Process 25 and 27, retired)",
    "1.2.840.10008.1.2.4.65": "JPEG Lossless, Hierarchical (Process 28, retired)",
    "1.2.840.10008.1.2.4.66": "JPEG Lossless, Hierarchical (Process 29, retired)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless SV1",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.92": "JPEG 2000 Part 2 Multi-component Lossless",
    "1.2.840.10008.1.2.4.93": "JPEG 2000 Part 2 Multi-component",
    "1.2.840.10008.1.2.4.201": "HTJ2K Lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K Lossless RPCL",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.100": "MPEG2 Main Profile, Main Level",
    "1.2.840.10008.1.2.4.100.1": "MPEG2 Main Profile, Main Level, fragmentable",
    "1.2.840.10008.1.2.4.101": "MPEG2 Main Profile, High Level",
    "1.2.840.10008.1.2.4.101.1": "MPEG2 Main Profile, High Level, fragmentable",
    "1.2.840.10008.1.2.4.102": "MPEG-4 AVC/H.264 High Profile, Level 4.1",
    "1.2.840.10008.1.2.4.102.1": "MPEG-4 AVC/H.264 High Profile, Level 4.1, fragmentable",
    "1.2.840.10008.1.2.4.103": "MPEG-4 AVC/H.264 BD-compatible, Level 4.1",
    "1.2.840.10008.1.2.4.103.1": "MPEG-4 AVC/H.264 BD-compatible, Level 4.1, fragmentable",
    "1.2.840.10008.1.2.4.104": "MPEG-4 AVC/H.264 High Profile, Level 4.2, 2D",
    "1.2.840.10008.1.2.4.104.1": "MPEG-4 AVC/H.264 High Profile, Level 4.2, 2D, fragmentable",
    "1.2.840.10008.1.2.4.105": "MPEG-4 AVC/H.264 High Profile, Level 4.2, 3D",
    "1.2.840.10008.1.2.4.105.1": "MPEG-4 AVC/H.264 High Profile, Level 4.2, 3D, fragmentable",
    "1.2.840.10008.1.2.4.106": "MPEG-4 AVC/H.264 Stereo High Profile, Level 4.2",
    "1.2.840.10008.1.2.4.106.1": "MPEG-4 AVC/H.264 Stereo High Profile, Level 4.2, fragmentable",
    "1.2.840.10008.1.2.4.107": "HEVC/H.265 Main Profile, Level 5.1",
    "1.2.840.10008.1.2.4.108": "HEVC/H.265 Main 10 Profile, Level 5.1",
}

_STANDARD = "1.2.840.10008."
_ROOT = _STANDARD + "5.1.4.1.1."

_STORAGE: dict[str, str] = {
    "1": "ComputedRadiographyImageStorage",
    "1.1": "DigitalXRayImageStorageForPresentation",
    "1.1.1": "DigitalXRayImageStorageForProcessing",
    "1.2": "DigitalMammographyXRayImageStorageForPresentation",
    "1.2.1": "DigitalMammographyXRayImageStorageForProcessing",
    "1.3": "DigitalIntraOralXRayImageStorageForPresentation",
    "1.3.1": "DigitalIntraOralXRayImageStorageForProcessing",
    "2": "CTImageStorage",
    "2.1": "EnhancedCTImageStorage",
    "2.2": "LegacyConvertedEnhancedCTImageStorage",
    "3": "UltrasoundMultiFrameImageStorageRetired",
    "3.1": "UltrasoundMultiFrameImageStorage",
    "4": "MRImageStorage",
    "4.1": "EnhancedMRImageStorage",
    "4.2": "MRSpectroscopyStorage",
    "4.3": "EnhancedMRColorImageStorage",
    "4.4": "LegacyConvertedEnhancedMRImageStorage",
    "5": "NuclearMedicineImageStorageRetired",
    "6": "UltrasoundImageStorageRetired",
    "6.1": "UltrasoundImageStorage",
    "6.2": "EnhancedUSVolumeStorage",
    "6.3": "PhotoacousticImageStorage",
    "7": "SecondaryCaptureImageStorage",
    "7.1": "MultiFrameSingleBitSecondaryCaptureImageStorage",
    "7.2": "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "7.3": "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
    "7.4": "MultiFrameTrueColorSecondaryCaptureImageStorage",
    "9.1.1": "TwelveLeadECGWaveformStorage",
    "9.1.2": "GeneralECGWaveformStorage",
    "9.1.3": "AmbulatoryECGWaveformStorage",
    "9.1.4": "General32bitECGWaveformStorage",
    "9.2.1": "HemodynamicWaveformStorage",
    "9.3.1": "CardiacElectrophysiologyWaveformStorage",
    "9.4.1": "BasicVoiceAudioWaveformStorage",
    "9.4.2": "GeneralAudioWaveformStorage",
    "9.5.1": "ArterialPulseWaveformStorage",
    "9.6.1": "RespiratoryWaveformStorage",
    "9.6.2": "MultichannelRespiratoryWaveformStorage",
    "9.7.1": "RoutineScalpElectroencephalogramWaveformStorage",
    "9.7.2": "ElectromyogramWaveformStorage",
    "9.7.3": "ElectrooculogramWaveformStorage",
    "9.7.4": "SleepElectroencephalogramWaveformStorage",
    "9.8.1": "BodyPositionWaveformStorage",
    "9.100.1": "WaveformPresentationStateStorage",
    "9.100.2": "WaveformAcquisitionPresentationStateStorage",
    "11.1": "GrayscaleSoftcopyPresentationStateStorage",
    "11.2": "ColorSoftcopyPresentationStateStorage",
    "11.3": "PseudoColorSoftcopyPresentationStateStorage",
    "11.4": "BlendingSoftcopyPresentationStateStorage",
    "11.5": "XAXRFGrayscaleSoftcopyPresentationStateStorage",
    "11.6": "GrayscalePlanarMPRVolumetricPresentationStateStorage",
    "11.7": "CompositingPlanarMPRVolumetricPresentationStateStorage",
    "11.8": "AdvancedBlendingPresentationStateStorage",
    "11.9": "VolumeRenderingVolumetricPresentationStateStorage",
    "11.10": "SegmentedVolumeRenderingVolumetricPresentationStateStorage",
    "11.11": "MultipleVolumeRenderingVolumetricPresentationStateStorage",
    "11.12": "VariableModalityLUTSoftcopyPresentationStateStorage",
    "12.1": "XRayAngiographicImageStorage",
    "12.1.1": "EnhancedXAImageStorage",
    "12.2": "XRayRadiofluoroscopicImageStorage",
    "12.2.1": "EnhancedXRFImageStorage",
    "12.3": "XRayAngiographicBiPlaneImageStorage",
    "13.1.1": "XRay3DAngiographicImageStorage",
    "13.1.2": "XRay3DCraniofacialImageStorage",
    "13.1.3": "BreastTomosynthesisImageStorage",
    "13.1.4": "BreastProjectionXRayImageStorageForPresentation",
    "13.1.5": "BreastProjectionXRayImageStorageForProcessing",
    "14.1": "IntravascularOpticalCoherenceTomographyImageStorageForPresentation",
    "14.2": "IntravascularOpticalCoherenceTomographyImageStorageForProcessing",
    "20": "NuclearMedicineImageStorage",
    "30": "ParametricMapStorage",
    "66": "RawDataStorage",
    "66.1": "SpatialRegistrationStorage",
    "66.2": "SpatialFiducialsStorage",
    "66.3": "DeformableSpatialRegistrationStorage",
    "66.4": "SegmentationStorage",
    "66.5": "SurfaceSegmentationStorage",
    "66.6": "TractographyResultsStorage",
    "66.7": "LabelMapSegmentationStorage",
    "66.8": "HeightMapSegmentationStorage",
    "67": "RealWorldValueMappingStorage",
    "68.1": "SurfaceScanMeshStorage",
    "68.2": "SurfaceScanPointCloudStorage",
    "77.1": "VLImageStorageTrial",
    "77.1.1": "VLEndoscopicImageStorage",
    "77.1.1.1": "VideoEndoscopicImageStorage",
    "77.1.2": "VLMicroscopicImageStorage",
    "77.1.2.1": "VideoMicroscopicImageStorage",
    "77.1.3": "VLSlideCoordinatesMicroscopicImageStorage",
    "77.1.4": "VLPhotographicImageStorage",
    "77.1.4.1": "VideoPhotographicImageStorage",
    "77.1.5.1": "OphthalmicPhotography8BitImageStorage",
    "77.1.5.2": "OphthalmicPhotography16BitImageStorage",
    "77.1.5.3": "StereometricRelationshipStorage",
    "77.1.5.4": "OphthalmicTomographyImageStorage",
    "77.1.5.5": "WideFieldOphthalmicPhotographyStereographicProjectionImageStorage",
    "77.1.5.6": "WideFieldOphthalmicPhotography3DCoordinatesImageStorage",
    "77.1.5.7": "OphthalmicOpticalCoherenceTomographyEnFaceImageStorage",
    "77.1.5.8": "OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage",
    "77.1.6": "VLWholeSlideMicroscopyImageStorage",
    "77.1.7": "DermoscopicPhotographyImageStorage",
    "77.1.8": "ConfocalMicroscopyImageStorage",
    "77.1.9": "ConfocalMicroscopyTiledPyramidalImageStorage",
    "77.2": "VLMultiFrameImageStorageTrial",
    "78.1": "LensometryMeasurementsStorage",
    "78.2": "AutorefractionMeasurementsStorage",
    "78.3": "KeratometryMeasurementsStorage",
    "78.4": "SubjectiveRefractionMeasurementsStorage",
    "78.5": "VisualAcuityMeasurementsStorage",
    "78.6": "SpectaclePrescriptionReportStorage",
    "78.7": "OphthalmicAxialMeasurementsStorage",
    "78.8": "IntraocularLensCalculationsStorage",
    "79.1": "MacularGridThicknessAndVolumeReportStorage",
    "80.1": "OphthalmicVisualFieldStaticPerimetryMeasurementsStorage",
    "81.1": "OphthalmicThicknessMapStorage",
    "82.1": "CornealTopographyMapStorage",
    "88.11": "BasicTextSRStorage",
    "88.22": "EnhancedSRStorage",
    "88.33": "ComprehensiveSRStorage",
    "88.34": "Comprehensive3DSRStorage",
    "88.35": "ExtensibleSRStorage",
    "88.40": "ProcedureLogStorage",
    "88.50": "MammographyCADSRStorage",
    "88.59": "KeyObjectSelectionDocumentStorage",
    "88.65": "ChestCADSRStorage",
    "88.67": "XRayRadiationDoseSRStorage",
    "88.68": "RadiopharmaceuticalRadiationDoseSRStorage",
    "88.69": "ColonCADSRStorage",
    "88.70": "ImplantationPlanSRStorage",
    "88.71": "AcquisitionContextSRStorage",
    "88.72": "SimplifiedAdultEchoSRStorage",
    "88.73": "PatientRadiationDoseSRStorage",
    "88.74": "PlannedImagingAgentAdministrationSRStorage",
    "88.75": "PerformedImagingAgentAdministrationSRStorage",
    "88.76": "EnhancedXRayRadiationDoseSRStorage",
    "88.77": "WaveformAnnotationSRStorage",
    "90.1": "ContentAssessmentResultsStorage",
    "91.1": "MicroscopyBulkSimpleAnnotationsStorage",
    "104.1": "EncapsulatedPDFStorage",
    "104.2": "EncapsulatedCDAStorage",
    "104.3": "EncapsulatedSTLStorage",
    "104.4": "EncapsulatedOBJStorage",
    "104.5": "EncapsulatedMTLStorage",
    "128": "PositronEmissionTomographyImageStorage",
    "128.1": "LegacyConvertedEnhancedPETImageStorage",
    "130": "EnhancedPETImageStorage",
    "131": "BasicStructuredDisplayStorage",
    "200.2": "CTPerformedProcedureProtocolStorage",
    "200.8": "XAPerformedProcedureProtocolStorage",
    "481.1": "RTImageStorage",
    "481.2": "RTDoseStorage",
    "481.3": "RTStructureSetStorage",
    "481.4": "RTBeamsTreatmentRecordStorage",
    "481.5": "RTPlanStorage",
    "481.6": "RTBrachyTreatmentRecordStorage",
    "481.7": "RTTreatmentSummaryRecordStorage",
    "481.8": "RTIonPlanStorage",
    "481.9": "RTIonBeamsTreatmentRecordStorage",
    "481.10": "RTPhysicianIntentStorage",
    "481.11": "RTSegmentAnnotationStorage",
    "481.12": "RTRadiationSetStorage",
    "481.13": "CArmPhotonElectronRadiationStorage",
    "481.14": "TomotherapeuticRadiationStorage",
    "481.15": "RoboticArmRadiationStorage",
    "481.16": "RTRadiationRecordSetStorage",
    "481.17": "RTRadiationSalvageRecordStorage",
    "481.18": "TomotherapeuticRadiationRecordStorage",
    "481.19": "CArmPhotonElectronRadiationRecordStorage",
    "481.20": "RoboticRadiationRecordStorage",
    "481.21": "RTRadiationSetDeliveryInstructionStorage",
    "481.22": "RTTreatmentPreparationStorage",
    "481.23": "EnhancedRTImageStorage",
    "481.24": "EnhancedContinuousRTImageStorage",
    "481.25": "RTPatientPositionAcquisitionInstructionStorage",
}

#: Storage SOP class UID -> keyword (PS3.4 table B.5-1, and what old scanners still send).
STORAGE_CLASSES: dict[str, str] = {_ROOT + tail: name for tail, name in _STORAGE.items()} | {
    _STANDARD + "5.1.4.34.7": "RTBeamsDeliveryInstructionStorage",
    _STANDARD + "5.1.4.34.10": "RTBrachyApplicationSetupDeliveryInstructionStorage",
}

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)


def is_uid(text: str) -> bool:
    """Tell whether `text` is a UID: at most 64 digits and dots, no empty component.

    Leading zeros are let through, because devices in use send them and no
    name of a file is ever made from a UID.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_storable(abstract_syntax: str, transfer_syntax: str, others: Iterable[str] = ()) -> bool:
    """Tell whether an object of this SOP class in this transfer syntax is carried.

    Parameters
    ----------
    others : iterable of str
        Classes taken besides the table's, as :func:`is_other_class` lets them in.
    """
    return transfer_syntax in TRANSFER_SYNTAXES and (
        abstract_syntax in STORAGE_CLASSES or _is_named(abstract_syntax, others)
    )


def is_other_class(named: str) -> bool:
    """Tell whether a setting may name this UID, or with a dot at its end all that begin so.

    Of the standard's own a whole Storage class only, which a later edition may
    have added: anything wider would let in classes that store nothing.
    """
    if not is_uid(named.removesuffix(".")):
        return False
    if named.endswith("."):
        return not (_STANDARD.startswith(named) or named.startswith(_STANDARD))
    return named.startswith(_ROOT) or not named.startswith(_STANDARD)


def _is_named(uid: str, others: Iterable[str]) -> bool:
    return any(uid.startswith(one) if one.endswith(".") else uid == one for one in others)


def new_uid() -> str:
    """Return a fresh UID under 2.25 from a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def derived_uid(seed: str) -> str:
    """Return the UID under 2.25 that always belongs to `seed` (UUID version 5)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, seed).int}"
