package objects_test

import (
	"net/netip"

	"github.com/goslo/goslo/objects"
)

// MigrationType is an enumeration of nova's.
type MigrationType string

func (MigrationType) Values() []string {
	return []string{"migration", "resize", "live-migration", "evacuation"}
}

type Migration struct {
	base `version:"1.7"`
	persistent
	ID                objects.Field[int64]         `json:"id"`
	UUID              objects.Field[string]        `json:"uuid" since:"1.5"`
	SourceCompute     objects.Nullable[string]     `json:"source_compute"`
	DestCompute       objects.Nullable[string]     `json:"dest_compute"`
	SourceNode        objects.Nullable[string]     `json:"source_node"`
	DestNode          objects.Nullable[string]     `json:"dest_node"`
	DestHost          objects.Nullable[string]     `json:"dest_host"`
	OldInstanceTypeID objects.Nullable[int64]      `json:"old_instance_type_id"`
	NewInstanceTypeID objects.Nullable[int64]      `json:"new_instance_type_id"`
	InstanceUUID      objects.Nullable[string]     `json:"instance_uuid"`
	Status            objects.Nullable[string]     `json:"status"`
	MigrationType     objects.Field[MigrationType] `json:"migration_type" since:"1.2"`
	Hidden            objects.Field[bool]          `json:"hidden" since:"1.2" default:"false"`
	MemoryTotal       objects.Nullable[int64]      `json:"memory_total" since:"1.4"`
	MemoryProcessed   objects.Nullable[int64]      `json:"memory_processed" since:"1.4"`
	MemoryRemaining   objects.Nullable[int64]      `json:"memory_remaining" since:"1.4"`
	DiskTotal         objects.Nullable[int64]      `json:"disk_total" since:"1.4"`
	DiskProcessed     objects.Nullable[int64]      `json:"disk_processed" since:"1.4"`
	DiskRemaining     objects.Nullable[int64]      `json:"disk_remaining" since:"1.4"`
	CrossCellMove     objects.Field[bool]          `json:"cross_cell_move" since:"1.6" default:"false"`
	UserID            objects.Nullable[string]     `json:"user_id" since:"1.7"`
	ProjectID         objects.Nullable[string]     `json:"project_id" since:"1.7"`
}

func (x Migration) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *Migration) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type MigrationList struct {
	base `version:"1.5"`
	objects.List[Migration]
}

func (x MigrationList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *MigrationList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type LibvirtLiveMigrateData struct {
	base                         `version:"1.10"`
	Filename                     objects.Field[string]                       `json:"filename"`
	ImageType                    objects.Field[string]                       `json:"image_type"`
	BlockMigration               objects.Field[bool]                         `json:"block_migration"`
	DiskOverCommit               objects.Field[bool]                         `json:"disk_over_commit"`
	DiskAvailableMB              objects.Nullable[int64]                     `json:"disk_available_mb"`
	IsSharedInstancePath         objects.Field[bool]                         `json:"is_shared_instance_path"`
	IsSharedBlockStorage         objects.Field[bool]                         `json:"is_shared_block_storage"`
	InstanceRelativePath         objects.Field[string]                       `json:"instance_relative_path"`
	GraphicsListenAddrVnc        objects.Nullable[netip.Addr]                `json:"graphics_listen_addr_vnc"`
	GraphicsListenAddrSpice      objects.Nullable[netip.Addr]                `json:"graphics_listen_addr_spice"`
	SerialListenAddr             objects.Nullable[string]                    `json:"serial_listen_addr"`
	SerialListenPorts            objects.Field[[]int64]                      `json:"serial_listen_ports" since:"1.2"`
	BDMs                         objects.Field[[]*LibvirtLiveMigrateBDMInfo] `json:"bdms"`
	TargetConnectAddr            objects.Nullable[string]                    `json:"target_connect_addr" since:"1.1"`
	SupportedPerfEvents          objects.Field[[]string]                     `json:"supported_perf_events" since:"1.3"`
	SrcSupportsNativeLuks        objects.Field[bool]                         `json:"src_supports_native_luks" since:"1.5"`
	DstWantsFileBackedMemory     objects.Field[bool]                         `json:"dst_wants_file_backed_memory" since:"1.7"`
	FileBackedMemoryDiscard      objects.Field[bool]                         `json:"file_backed_memory_discard" since:"1.8"`
	SrcSupportsNUMALiveMigration objects.Field[bool]                         `json:"src_supports_numa_live_migration" since:"1.10"`
	DstSupportsNUMALiveMigration objects.Field[bool]                         `json:"dst_supports_numa_live_migration" since:"1.10"`
	DstNUMAInfo                  objects.Field[*LibvirtLiveMigrateNUMAInfo]  `json:"dst_numa_info" since:"1.10"`
	IsVolumeBacked               objects.Field[bool]                         `json:"is_volume_backed"`
	Migration                    objects.Field[*Migration]                   `json:"migration"`
	OldVolAttachmentIDs          objects.Field[map[string]string]            `json:"old_vol_attachment_ids" since:"1.4"`
	WaitForVIFPlugged            objects.Field[bool]                         `json:"wait_for_vif_plugged" since:"1.6"`
	Vifs                         objects.Field[[]*VIFMigrateData]            `json:"vifs" since:"1.9"`
}

func (x LibvirtLiveMigrateData) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *LibvirtLiveMigrateData) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type LibvirtLiveMigrateBDMInfo struct {
	base                 `version:"1.1"`
	Serial               objects.Field[string]    `json:"serial"`
	Bus                  objects.Field[string]    `json:"bus"`
	Dev                  objects.Field[string]    `json:"dev"`
	Type                 objects.Field[string]    `json:"type"`
	Format               objects.Nullable[string] `json:"format"`
	BootIndex            objects.Nullable[int64]  `json:"boot_index"`
	ConnectionInfoJSON   objects.Field[string]    `json:"connection_info_json"`
	EncryptionSecretUUID objects.Nullable[string] `json:"encryption_secret_uuid" since:"1.1"`
}

func (x LibvirtLiveMigrateBDMInfo) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *LibvirtLiveMigrateBDMInfo) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type LibvirtLiveMigrateNUMAInfo struct {
	base          `version:"1.0"`
	CPUPins       objects.Field[map[string][]int64] `json:"cpu_pins"`
	CellPins      objects.Field[map[string][]int64] `json:"cell_pins"`
	EmulatorPins  objects.Field[[]int64]            `json:"emulator_pins"`
	SchedVCPUs    objects.Field[[]int64]            `json:"sched_vcpus"`
	SchedPriority objects.Field[int64]              `json:"sched_priority"`
}

func (x LibvirtLiveMigrateNUMAInfo) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *LibvirtLiveMigrateNUMAInfo) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type VIFMigrateData struct {
	base           `version:"1.0"`
	PortID         objects.Field[string] `json:"port_id"`
	VnicType       objects.Field[string] `json:"vnic_type"`
	VIFType        objects.Field[string] `json:"vif_type"`
	VIFDetailsJSON objects.Field[string] `json:"vif_details_json"`
	ProfileJSON    objects.Field[string] `json:"profile_json"`
	Host           objects.Field[string] `json:"host"`
	SourceVIF      objects.Field[string] `json:"source_vif"`
}

func (x VIFMigrateData) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *VIFMigrateData) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type BlockDeviceMapping struct {
	base `version:"1.21"`
	persistent
	ID                   objects.Field[int64]                `json:"id"`
	UUID                 objects.Field[string]               `json:"uuid" since:"1.19"`
	InstanceUUID         objects.Field[string]               `json:"instance_uuid"`
	Instance             objects.Nullable[*Instance]         `json:"instance"`
	SourceType           objects.Nullable[string]            `json:"source_type"`
	DestinationType      objects.Nullable[string]            `json:"destination_type"`
	GuestFormat          objects.Nullable[string]            `json:"guest_format"`
	DeviceType           objects.Nullable[string]            `json:"device_type"`
	DiskBus              objects.Nullable[string]            `json:"disk_bus"`
	BootIndex            objects.Nullable[int64]             `json:"boot_index"`
	DeviceName           objects.Nullable[string]            `json:"device_name"`
	DeleteOnTermination  objects.Field[bool]                 `json:"delete_on_termination" default:"false"`
	SnapshotID           objects.Nullable[string]            `json:"snapshot_id"`
	VolumeID             objects.Nullable[string]            `json:"volume_id"`
	VolumeSize           objects.Nullable[int64]             `json:"volume_size"`
	ImageID              objects.Nullable[string]            `json:"image_id"`
	NoDevice             objects.Field[bool]                 `json:"no_device" default:"false"`
	ConnectionInfo       objects.Nullable[objects.Sensitive] `json:"connection_info"`
	Tag                  objects.Nullable[string]            `json:"tag" since:"1.17"`
	AttachmentID         objects.Nullable[string]            `json:"attachment_id" since:"1.18"`
	VolumeType           objects.Nullable[string]            `json:"volume_type" since:"1.20"`
	Encrypted            objects.Field[bool]                 `json:"encrypted" since:"1.21" default:"false"`
	EncryptionSecretUUID objects.Nullable[string]            `json:"encryption_secret_uuid" since:"1.21"`
	EncryptionFormat     objects.Nullable[string]            `json:"encryption_format" since:"1.21"`
	EncryptionOptions    objects.Nullable[string]            `json:"encryption_options" since:"1.21"`
}

func (x BlockDeviceMapping) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *BlockDeviceMapping) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type BlockDeviceMappingList struct {
	base `version:"1.18"`
	objects.List[BlockDeviceMapping]
}

func (x BlockDeviceMappingList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *BlockDeviceMappingList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }
