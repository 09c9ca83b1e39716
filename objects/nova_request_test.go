package objects_test

import (
	"encoding/json"
	"net/netip"

	"github.com/goslo/goslo/objects"
)

type RequestSpec struct {
	base                 `version:"1.14"`
	ID                   objects.Field[int64]                    `json:"id"`
	Image                objects.Nullable[*ImageMeta]            `json:"image"`
	NUMATopology         objects.Nullable[*InstanceNUMATopology] `json:"numa_topology"`
	PCIRequests          objects.Nullable[*InstancePCIRequests]  `json:"pci_requests"`
	ProjectID            objects.Nullable[string]                `json:"project_id"`
	UserID               objects.Nullable[string]                `json:"user_id"`
	AvailabilityZone     objects.Nullable[string]                `json:"availability_zone"`
	Flavor               objects.Field[*Flavor]                  `json:"flavor"`
	NumInstances         objects.Field[int64]                    `json:"num_instances" default:"1"`
	IgnoreHosts          objects.Nullable[[]string]              `json:"ignore_hosts"`
	ForceHosts           objects.Nullable[[]string]              `json:"force_hosts"`
	ForceNodes           objects.Nullable[[]string]              `json:"force_nodes"`
	RequestedDestination objects.Nullable[*Destination]          `json:"requested_destination"`
	Retry                objects.Nullable[*SchedulerRetries]     `json:"retry"`
	Limits               objects.Nullable[*SchedulerLimits]      `json:"limits"`
	InstanceGroup        objects.Nullable[*InstanceGroup]        `json:"instance_group"`
	SchedulerHints       objects.Nullable[map[string][]string]   `json:"scheduler_hints"`
	InstanceUUID         objects.Field[string]                   `json:"instance_uuid"`
	SecurityGroups       objects.Field[json.RawMessage]          `json:"security_groups"`
	NetworkMetadata      objects.Field[*NetworkMetadata]         `json:"network_metadata"`
	IsBfv                objects.Field[bool]                     `json:"is_bfv"`
	RequestedResources   objects.Nullable[[]*RequestGroup]       `json:"requested_resources"`
	RequestLevelParams   objects.Field[*RequestLevelParams]      `json:"request_level_params"`
	RequestedNetworks    objects.Field[*NetworkRequestList]      `json:"requested_networks"`
}

func (x RequestSpec) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *RequestSpec) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type NetworkRequest struct {
	base          `version:"1.3"`
	NetworkID     objects.Nullable[string]     `json:"network_id"`
	Address       objects.Nullable[netip.Addr] `json:"address"`
	PortID        objects.Nullable[string]     `json:"port_id"`
	PCIRequestID  objects.Nullable[string]     `json:"pci_request_id"`
	Tag           objects.Nullable[string]     `json:"tag" since:"1.2"`
	ArqUUID       objects.Nullable[string]     `json:"arq_uuid" since:"1.3"`
	DeviceProfile objects.Nullable[string]     `json:"device_profile" since:"1.3"`
}

func (x NetworkRequest) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *NetworkRequest) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type NetworkRequestList struct {
	base `version:"1.1"`
	objects.List[NetworkRequest]
}

func (x NetworkRequestList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *NetworkRequestList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type SchedulerRetries struct {
	base        `version:"1.1"`
	NumAttempts objects.Field[int64]            `json:"num_attempts"`
	Hosts       objects.Field[*ComputeNodeList] `json:"hosts"`
}

func (x SchedulerRetries) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *SchedulerRetries) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type SchedulerLimits struct {
	base         `version:"1.0"`
	NUMATopology objects.Nullable[json.RawMessage] `json:"numa_topology"`
	VCPU         objects.Nullable[int64]           `json:"vcpu"`
	DiskGB       objects.Nullable[int64]           `json:"disk_gb"`
	MemoryMB     objects.Nullable[int64]           `json:"memory_mb"`
}

func (x SchedulerLimits) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *SchedulerLimits) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type InstanceGroup struct {
	base `version:"1.11"`
	persistent
	ID        objects.Field[int64]             `json:"id"`
	UserID    objects.Nullable[string]         `json:"user_id"`
	ProjectID objects.Nullable[string]         `json:"project_id"`
	UUID      objects.Field[string]            `json:"uuid"`
	Name      objects.Nullable[string]         `json:"name"`
	Policies  objects.Nullable[[]string]       `json:"policies"`
	Members   objects.Nullable[[]string]       `json:"members"`
	Hosts     objects.Nullable[[]string]       `json:"hosts"`
	Policy    objects.Nullable[string]         `json:"policy"`
	Rules     objects.Field[map[string]string] `json:"_rules"`
}

func (x InstanceGroup) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *InstanceGroup) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type Destination struct {
	base                `version:"1.4"`
	Host                objects.Field[string]          `json:"host"`
	Node                objects.Nullable[string]       `json:"node"`
	Cell                objects.Nullable[*CellMapping] `json:"cell"`
	Aggregates          objects.Nullable[[]string]     `json:"aggregates"`
	AllowCrossCellMove  objects.Field[bool]            `json:"allow_cross_cell_move" default:"false"`
	ForbiddenAggregates objects.Nullable[[]string]     `json:"forbidden_aggregates"`
}

func (x Destination) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *Destination) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type CellMapping struct {
	base `version:"1.1"`
	objects.Timestamps
	ID                 objects.ReadOnly[int64]  `json:"id"`
	UUID               objects.Field[string]    `json:"uuid"`
	Name               objects.Nullable[string] `json:"name"`
	TransportURL       objects.Field[string]    `json:"transport_url"`
	DatabaseConnection objects.Field[string]    `json:"database_connection"`
	Disabled           objects.Field[bool]      `json:"disabled" default:"false"`
}

func (x CellMapping) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *CellMapping) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type ComputeNode struct {
	base `version:"1.19"`
	persistent
	ID                  objects.ReadOnly[int64]              `json:"id"`
	UUID                objects.ReadOnly[string]             `json:"uuid"`
	ServiceID           objects.Nullable[int64]              `json:"service_id"`
	Host                objects.Nullable[string]             `json:"host"`
	VCPUs               objects.Field[int64]                 `json:"vcpus"`
	MemoryMB            objects.Field[int64]                 `json:"memory_mb"`
	LocalGB             objects.Field[int64]                 `json:"local_gb"`
	VCPUsUsed           objects.Field[int64]                 `json:"vcpus_used"`
	MemoryMBUsed        objects.Field[int64]                 `json:"memory_mb_used"`
	LocalGBUsed         objects.Field[int64]                 `json:"local_gb_used"`
	HypervisorType      objects.Field[string]                `json:"hypervisor_type"`
	HypervisorVersion   objects.Field[int64]                 `json:"hypervisor_version"`
	HypervisorHostname  objects.Nullable[string]             `json:"hypervisor_hostname"`
	FreeRAMMB           objects.Nullable[int64]              `json:"free_ram_mb"`
	FreeDiskGB          objects.Nullable[int64]              `json:"free_disk_gb"`
	CurrentWorkload     objects.Nullable[int64]              `json:"current_workload"`
	RunningVms          objects.Nullable[int64]              `json:"running_vms"`
	CPUInfo             objects.Nullable[string]             `json:"cpu_info"`
	DiskAvailableLeast  objects.Nullable[int64]              `json:"disk_available_least"`
	Metrics             objects.Nullable[string]             `json:"metrics"`
	Stats               objects.Nullable[map[string]*string] `json:"stats"`
	HostIP              objects.Nullable[netip.Addr]         `json:"host_ip"`
	NUMATopology        objects.Nullable[string]             `json:"numa_topology"`
	SupportedHvSpecs    objects.Field[[]json.RawMessage]     `json:"supported_hv_specs"`
	PCIDevicePools      objects.Nullable[json.RawMessage]    `json:"pci_device_pools"`
	CPUAllocationRatio  objects.Field[float64]               `json:"cpu_allocation_ratio"`
	RAMAllocationRatio  objects.Field[float64]               `json:"ram_allocation_ratio"`
	DiskAllocationRatio objects.Field[float64]               `json:"disk_allocation_ratio"`
	Mapped              objects.Field[int64]                 `json:"mapped"`
}

func (x ComputeNode) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *ComputeNode) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type ComputeNodeList struct {
	base `version:"1.17"`
	objects.List[ComputeNode]
}

func (x ComputeNodeList) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *ComputeNodeList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type NetworkMetadata struct {
	base     `version:"1.0"`
	Physnets objects.Field[[]string] `json:"physnets"`
	Tunneled objects.Field[bool]     `json:"tunneled"`
}

func (x NetworkMetadata) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *NetworkMetadata) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type RequestGroup struct {
	base                `version:"1.3"`
	UseSameProvider     objects.Field[bool]             `json:"use_same_provider" default:"true"`
	Resources           objects.Field[map[string]int64] `json:"resources" default:"{}"`
	RequiredTraits      objects.Field[[]string]         `json:"required_traits" default:"[]"`
	ForbiddenTraits     objects.Field[[]string]         `json:"forbidden_traits" default:"[]"`
	Aggregates          objects.Field[[][]string]       `json:"aggregates" default:"[]"`
	ForbiddenAggregates objects.Field[[]string]         `json:"forbidden_aggregates" default:"[]"`
	RequesterID         objects.Nullable[string]        `json:"requester_id"`
	ProviderUuids       objects.Field[[]string]         `json:"provider_uuids" default:"[]"`
	InTree              objects.Nullable[string]        `json:"in_tree"`
}

func (x RequestGroup) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *RequestGroup) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type RequestLevelParams struct {
	base          `version:"1.1"`
	RootRequired  objects.Field[[]string]   `json:"root_required" default:"[]"`
	RootForbidden objects.Field[[]string]   `json:"root_forbidden" default:"[]"`
	SameSubtree   objects.Field[[][]string] `json:"same_subtree" default:"[]"`
}

func (x RequestLevelParams) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *RequestLevelParams) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }
