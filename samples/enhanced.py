"""A CT series as one Enhanced CT object: many frames, one file (PS3.3 section A.38)."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage

from samples.chest import SPACING
from samples.ct import slices
from samples.study import Study, describe


def enhanced_ct(study: Study) -> Dataset:
    """Return the slices of a CT study as the frames of one object."""
    stack = list(slices(study))
    pixels = np.stack([frame for _, frame in stack])
    ds = describe(study, sop_class=EnhancedCTImageStorage, modality="CT", description="Enhanced CT")
    ds.SOPInstanceUID = study.uid("image/enhanced")
    ds.InstanceNumber = 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ContentQualification = "RESEARCH"
    ds.AcquisitionDateTime = f"{study.date}091500"
    ds.AcquisitionDuration = 4.0
    ds.ContentTime = "091500"
    del ds.AcquisitionDate
    ds.PresentationLUTShape = "IDENTITY"
    ds.PatientPosition = "HFS"
    ds.AcquisitionContextSequence = []
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = 1
    ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=study.uid("dimension"))]
    ds.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=study.uid("dimension"),
            DimensionIndexPointer=pointer,
            FunctionalGroupPointer=0x00209111,
            DimensionDescriptionLabel=label,
        )
        for pointer, label in ((0x00209056, "Stack ID"), (0x00209057, "In-Stack Position"))
    ]
    ds.SharedFunctionalGroupsSequence = [_shared(study)]
    ds.PerFrameFunctionalGroupsSequence = [
        _frame(study, number, z) for number, (z, _) in enumerate(stack, start=1)
    ]
    ds.add_new("PixelData", "OW", pixels.astype("<i2").tobytes())
    return ds


def _shared(study: Study) -> Dataset:
    """Return what holds for every frame (PS3.3 sections C.7.6.16.2 and C.8.15.3)."""
    return _item(
        PixelMeasuresSequence=[_item(SliceThickness=5.0, PixelSpacing=[SPACING, SPACING])],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        FrameAnatomySequence=[
            _item(FrameLaterality="U", AnatomicRegionSequence=[_code("51185008", "SCT", "Chest")])
        ],
        FrameVOILUTSequence=[_item(WindowCenter=50, WindowWidth=400)],
        PixelValueTransformationSequence=[
            _item(RescaleIntercept=0, RescaleSlope=1, RescaleType="HU")
        ],
        CTAcquisitionTypeSequence=[
            _item(
                AcquisitionType="SEQUENCED",
                ConstantVolumeFlag="NO",
                FluoroscopyFlag="NO",
            )
        ],
        CTImageFrameTypeSequence=[
            _item(
                FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
            )
        ],
        IrradiationEventIdentificationSequence=[_item(IrradiationEventUID=study.uid("exposure"))],
        **_acquisition(),
    )


def _acquisition() -> dict[str, list[Dataset]]:
    """Return how the frames were acquired and reconstructed (PS3.3 sections C.8.15.3.3 on)."""
    return {
        "CTAcquisitionDetailsSequence": [
            _item(
                RotationDirection="CW",
                RevolutionTime=0.5,
                SingleCollimationWidth=0.625,
                TotalCollimationWidth=40.0,
                TableHeight=124.0,
                GantryDetectorTilt=0.0,
                DataCollectionDiameter=500.0,
            )
        ],
        "CTTableDynamicsSequence": [_item(TableSpeed=40.0)],
        "CTGeometrySequence": [
            _item(DistanceSourceToDetector=950.0, DistanceSourceToDataCollectionCenter=540.0)
        ],
        "CTReconstructionSequence": [
            _item(
                ReconstructionAlgorithm="FILTER_BACK_PROJ",
                ConvolutionKernel="STANDARD",
                ConvolutionKernelGroup="SOFT_TISSUE",
                ReconstructionDiameter=380.0,
                ReconstructionPixelSpacing=[SPACING, SPACING],
                ReconstructionAngle=360.0,
                ImageFilter="NONE",
            )
        ],
        "CTExposureSequence": [
            _item(
                ExposureTimeInms=500.0,
                XRayTubeCurrentInmA=240.0,
                ExposureInmAs=120.0,
                ExposureModulationType="NONE",
                CTDIvol=8.1,
                CTDIPhantomTypeCodeSequence=[_code("113691", "DCM", "IEC Body Dosimetry Phantom")],
            )
        ],
        "CTXRayDetailsSequence": [
            _item(KVP=120.0, FocalSpots=1.2, FilterType="WEDGE", FilterMaterial="ALUMINUM")
        ],
    }


def _frame(study: Study, number: int, z: float) -> Dataset:
    """Return what holds for one frame: when, where, which."""
    corner = -SPACING * 256
    return _item(
        FrameContentSequence=[
            _item(
                FrameAcquisitionNumber=1,
                FrameReferenceDateTime=f"{study.date}0915{number % 60:02d}",
                FrameAcquisitionDateTime=f"{study.date}0915{number % 60:02d}",
                FrameAcquisitionDuration=500.0,
                StackID="1",
                InStackPositionNumber=number,
                DimensionIndexValues=[1, number],
            )
        ],
        CTPositionSequence=[
            _item(
                TablePosition=round(z, 3),
                ReconstructionTargetCenterPatient=[0.0, 0.0, round(z, 3)],
                DataCollectionCenterPatient=[0.0, 0.0, round(z, 3)],
            )
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=[corner, corner, round(z, 3)])],
    )


def _item(**elements: Any) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
