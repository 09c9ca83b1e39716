package objects_test

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/goslo/goslo/objects"
)

// What nova 26.2.2 declares, as far as the golden files have it; TestDeclaredAsInNova compares.

// base is what nova's objects have in common.
type base struct {
	objects.Object `prefix:"nova_object" namespace:"nova"`
}

// persistent are the fields of objects that are in nova's database.
type persistent struct {
	objects.Timestamps
	DeletedAt objects.Nullable[time.Time] `json:"deleted_at"`
	Deleted   objects.Field[bool]         `json:"deleted" default:"false"`
}

type Instance struct {
	base `version:"2.7"`
	persistent
	ID                     objects.Field[int64]                    `json:"id"`
	UserID                 objects.Nullable[string]                `json:"user_id"`
	ProjectID              objects.Nullable[string]                `json:"project_id"`
	ImageRef               objects.Nullable[string]                `json:"image_ref"`
	KernelID               objects.Nullable[string]                `json:"kernel_id"`
	RamdiskID              objects.Nullable[string]                `json:"ramdisk_id"`
	Hostname               objects.Nullable[string]                `json:"hostname"`
	LaunchIndex            objects.Nullable[int64]                 `json:"launch_index"`
	KeyName                objects.Nullable[string]                `json:"key_name"`
	KeyData                objects.Nullable[string]                `json:"key_data"`
	PowerState             objects.Nullable[int64]                 `json:"power_state"`
	VMState                objects.Nullable[string]                `json:"vm_state"`
	TaskState              objects.Nullable[string]                `json:"task_state"`
	Services               objects.Field[*ServiceList]             `json:"services" since:"2.1"`
	MemoryMB               objects.Nullable[int64]                 `json:"memory_mb"`
	VCPUs                  objects.Nullable[int64]                 `json:"vcpus"`
	RootGB                 objects.Nullable[int64]                 `json:"root_gb"`
	EphemeralGB            objects.Nullable[int64]                 `json:"ephemeral_gb"`
	EphemeralKeyUUID       objects.Nullable[string]                `json:"ephemeral_key_uuid"`
	Host                   objects.Nullable[string]                `json:"host"`
	Node                   objects.Nullable[string]                `json:"node"`
	InstanceTypeID         objects.Nullable[int64]                 `json:"instance_type_id"`
	UserData               objects.Nullable[string]                `json:"user_data"`
	ReservationID          objects.Nullable[string]                `json:"reservation_id"`
	LaunchedAt             objects.Nullable[time.Time]             `json:"launched_at"`
	TerminatedAt           objects.Nullable[time.Time]             `json:"terminated_at"`
	AvailabilityZone       objects.Nullable[string]                `json:"availability_zone"`
	DisplayName            objects.Nullable[string]                `json:"display_name"`
	DisplayDescription     objects.Nullable[string]                `json:"display_description"`
	LaunchedOn             objects.Nullable[string]                `json:"launched_on"`
	Locked                 objects.Field[bool]                     `json:"locked" default:"false"`
	LockedBy               objects.Nullable[string]                `json:"locked_by"`
	OSType                 objects.Nullable[string]                `json:"os_type"`
	Architecture           objects.Nullable[string]                `json:"architecture"`
	VMMode                 objects.Nullable[string]                `json:"vm_mode"`
	UUID                   objects.Field[string]                   `json:"uuid"`
	RootDeviceName         objects.Nullable[string]                `json:"root_device_name"`
	DefaultEphemeralDevice objects.Nullable[string]                `json:"default_ephemeral_device"`
	DefaultSwapDevice      objects.Nullable[string]                `json:"default_swap_device"`
	ConfigDrive            objects.Nullable[string]                `json:"config_drive"`
	AccessIPV4             objects.Nullable[netip.Addr]            `json:"access_ip_v4"`
	AccessIPV6             objects.Nullable[netip.Addr]            `json:"access_ip_v6"`
	AutoDiskConfig         objects.Field[bool]                     `json:"auto_disk_config" default:"false"`
	Progress               objects.Nullable[int64]                 `json:"progress"`
	ShutdownTerminate      objects.Field[bool]                     `json:"shutdown_terminate" default:"false"`
	DisableTerminate       objects.Field[bool]                     `json:"disable_terminate" default:"false"`
	CellName               objects.Nullable[string]                `json:"cell_name"`
	Metadata               objects.Field[map[string]string]        `json:"metadata"`
	SystemMetadata         objects.Field[map[string]*string]       `json:"system_metadata"`
	InfoCache              objects.Nullable[*InstanceInfoCache]    `json:"info_cache"`
	SecurityGroups         objects.Field[json.RawMessage]          `json:"security_groups"`
	Fault                  objects.Nullable[json.RawMessage]       `json:"fault"`
	Cleaned                objects.Field[bool]                     `json:"cleaned" default:"false"`
	PCIDevices             objects.Nullable[json.RawMessage]       `json:"pci_devices"`
	NUMATopology           objects.Nullable[*InstanceNUMATopology] `json:"numa_topology"`
	PCIRequests            objects.Nullable[*InstancePCIRequests]  `json:"pci_requests"`
	DeviceMetadata         objects.Nullable[json.RawMessage]       `json:"device_metadata" since:"2.3"`
	Tags                   objects.Field[*TagList]                 `json:"tags"`
	Flavor                 objects.Field[*Flavor]                  `json:"flavor"`
	OldFlavor              objects.Nullable[*Flavor]               `json:"old_flavor"`
	NewFlavor              objects.Nullable[*Flavor]               `json:"new_flavor"`
	VCPUModel              objects.Nullable[json.RawMessage]       `json:"vcpu_model"`
	Ec2Ids                 objects.Field[json.RawMessage]          `json:"ec2_ids"`
	MigrationContext       objects.Nullable[json.RawMessage]       `json:"migration_context"`
	Keypairs               objects.Field[json.RawMessage]          `json:"keypairs" since:"2.2"`
	TrustedCerts           objects.Nullable[*TrustedCerts]         `json:"trusted_certs" since:"2.4"`
	Hidden                 objects.Field[bool]                     `json:"hidden" since:"2.6" default:"false"`
	Resources              objects.Nullable[*ResourceList]         `json:"resources" since:"2.7"`
}

func (x Instance) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *Instance) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type InstanceList struct {
	base `version:"2.6"`
	objects.List[Instance]
}

func (x InstanceList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *InstanceList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type InstanceInfoCache struct {
	base `version:"1.5"`
	persistent
	InstanceUUID objects.Field[string]    `json:"instance_uuid"`
	NetworkInfo  objects.Nullable[string] `json:"network_info"`
}

func (x InstanceInfoCache) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *InstanceInfoCache) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type InstanceNUMATopology struct {
	base                  `version:"1.3"`
	ID                    objects.Field[int64]               `json:"id"`
	InstanceUUID          objects.Field[string]              `json:"instance_uuid"`
	Cells                 objects.Field[[]*InstanceNUMACell] `json:"cells"`
	EmulatorThreadsPolicy objects.Nullable[string]           `json:"emulator_threads_policy" since:"1.3"`
}

func (x InstanceNUMATopology) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *InstanceNUMATopology) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type InstanceNUMACell struct {
	base            `version:"1.6"`
	ID              objects.Field[int64]               `json:"id"`
	Cpuset          objects.Field[[]int64]             `json:"cpuset"`
	Pcpuset         objects.Field[[]int64]             `json:"pcpuset" since:"1.5"`
	CpusetReserved  objects.Nullable[[]int64]          `json:"cpuset_reserved" since:"1.4"`
	Memory          objects.Field[int64]               `json:"memory"`
	Pagesize        objects.Nullable[int64]            `json:"pagesize"`
	CPUTopology     objects.Nullable[json.RawMessage]  `json:"cpu_topology"`
	CPUPinningRaw   objects.Nullable[map[string]int64] `json:"cpu_pinning_raw"`
	CPUPolicy       objects.Nullable[string]           `json:"cpu_policy" since:"1.3"`
	CPUThreadPolicy objects.Nullable[string]           `json:"cpu_thread_policy" since:"1.3"`
}

func (x InstanceNUMACell) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *InstanceNUMACell) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type InstancePCIRequests struct {
	base         `version:"1.1"`
	InstanceUUID objects.Field[string]                `json:"instance_uuid"`
	Requests     objects.Field[[]*InstancePCIRequest] `json:"requests"`
}

func (x InstancePCIRequests) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *InstancePCIRequests) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type InstancePCIRequest struct {
	base        `version:"1.4"`
	Count       objects.Field[int64]                `json:"count"`
	Spec        objects.Field[[]map[string]*string] `json:"spec"`
	AliasName   objects.Nullable[string]            `json:"alias_name"`
	IsNew       objects.Field[bool]                 `json:"is_new" default:"false"`
	RequestID   objects.Nullable[string]            `json:"request_id" since:"1.1"`
	RequesterID objects.Nullable[string]            `json:"requester_id" since:"1.3"`
	NUMAPolicy  objects.Nullable[string]            `json:"numa_policy" since:"1.2"`
}

func (x InstancePCIRequest) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *InstancePCIRequest) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type Tag struct {
	base       `version:"1.1"`
	ResourceID objects.Field[string] `json:"resource_id"`
	Tag        objects.Field[string] `json:"tag"`
}

func (x Tag) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *Tag) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type TagList struct {
	base `version:"1.1"`
	objects.List[Tag]
}

func (x TagList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *TagList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type TrustedCerts struct {
	base `version:"1.0"`
	IDs  objects.Field[[]string] `json:"ids"`
}

func (x TrustedCerts) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *TrustedCerts) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type Service struct {
	base `version:"1.22"`
	persistent
	ID               objects.ReadOnly[int64]     `json:"id"`
	UUID             objects.Field[string]       `json:"uuid"`
	Host             objects.Nullable[string]    `json:"host"`
	Binary           objects.Nullable[string]    `json:"binary"`
	Topic            objects.Nullable[string]    `json:"topic"`
	ReportCount      objects.Field[int64]        `json:"report_count"`
	Disabled         objects.Field[bool]         `json:"disabled"`
	DisabledReason   objects.Nullable[string]    `json:"disabled_reason"`
	AvailabilityZone objects.Nullable[string]    `json:"availability_zone"`
	ComputeNode      objects.Field[*ComputeNode] `json:"compute_node"`
	LastSeenUp       objects.Nullable[time.Time] `json:"last_seen_up"`
	ForcedDown       objects.Field[bool]         `json:"forced_down"`
	Version          objects.Field[int64]        `json:"version"`
}

func (x Service) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *Service) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type ServiceList struct {
	base `version:"1.19"`
	objects.List[Service]
}

func (x ServiceList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *ServiceList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type Resource struct {
	base          `version:"1.0"`
	ProviderUUID  objects.Field[string]          `json:"provider_uuid"`
	ResourceClass objects.Field[string]          `json:"resource_class"`
	Identifier    objects.Field[string]          `json:"identifier"`
	Metadata      objects.Field[json.RawMessage] `json:"metadata"`
}

func (x Resource) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *Resource) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type ResourceList struct {
	base `version:"1.0"`
	objects.List[Resource]
}

func (x ResourceList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *ResourceList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type Flavor struct {
	base `version:"1.2"`
	persistent
	ID          objects.Field[int64]             `json:"id"`
	Name        objects.Nullable[string]         `json:"name"`
	MemoryMB    objects.Field[int64]             `json:"memory_mb"`
	VCPUs       objects.Field[int64]             `json:"vcpus"`
	RootGB      objects.Field[int64]             `json:"root_gb"`
	EphemeralGB objects.Field[int64]             `json:"ephemeral_gb"`
	Flavorid    objects.Field[string]            `json:"flavorid"`
	Swap        objects.Field[int64]             `json:"swap"`
	RxtxFactor  objects.Nullable[float64]        `json:"rxtx_factor"`
	VCPUWeight  objects.Nullable[int64]          `json:"vcpu_weight"`
	Disabled    objects.Field[bool]              `json:"disabled"`
	IsPublic    objects.Field[bool]              `json:"is_public"`
	ExtraSpecs  objects.Field[map[string]string] `json:"extra_specs"`
	Projects    objects.Field[[]string]          `json:"projects"`
	Description objects.Nullable[string]         `json:"description" since:"1.2"`
}

func (x Flavor) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *Flavor) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }
