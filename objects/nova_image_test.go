package objects_test

import (
	"github.com/goslo/goslo/objects"
)

type ImageMeta struct {
	base `version:"1.8"`
	objects.Timestamps
	ID              objects.Field[string]               `json:"id"`
	Name            objects.Field[string]               `json:"name"`
	Status          objects.Field[string]               `json:"status"`
	Visibility      objects.Field[string]               `json:"visibility"`
	Protected       objects.Field[objects.FlexibleBool] `json:"protected"`
	Checksum        objects.Field[string]               `json:"checksum"`
	Owner           objects.Field[string]               `json:"owner"`
	Size            objects.Field[int64]                `json:"size"`
	VirtualSize     objects.Field[int64]                `json:"virtual_size"`
	ContainerFormat objects.Field[string]               `json:"container_format"`
	DiskFormat      objects.Field[string]               `json:"disk_format"`
	Tags            objects.Field[[]string]             `json:"tags"`
	DirectURL       objects.Field[string]               `json:"direct_url"`
	MinRAM          objects.Field[int64]                `json:"min_ram"`
	MinDisk         objects.Field[int64]                `json:"min_disk"`
	Properties      objects.Field[*ImageMetaProps]      `json:"properties"`
}

func (x ImageMeta) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *ImageMeta) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }

type ImageMetaProps struct {
	base                         `version:"1.34"`
	HwArchitecture               objects.Field[string]               `json:"hw_architecture"`
	HwEmulationArchitecture      objects.Field[string]               `json:"hw_emulation_architecture"`
	HwAutoDiskConfig             objects.Field[string]               `json:"hw_auto_disk_config"`
	HwBootMenu                   objects.Field[objects.FlexibleBool] `json:"hw_boot_menu"`
	HwCdromBus                   objects.Field[string]               `json:"hw_cdrom_bus"`
	HwCPUCores                   objects.Field[int64]                `json:"hw_cpu_cores"`
	HwCPUSockets                 objects.Field[int64]                `json:"hw_cpu_sockets"`
	HwCPUMaxCores                objects.Field[int64]                `json:"hw_cpu_max_cores"`
	HwCPUMaxSockets              objects.Field[int64]                `json:"hw_cpu_max_sockets"`
	HwCPUMaxThreads              objects.Field[int64]                `json:"hw_cpu_max_threads"`
	HwCPUPolicy                  objects.Field[string]               `json:"hw_cpu_policy"`
	HwCPUThreadPolicy            objects.Field[string]               `json:"hw_cpu_thread_policy"`
	HwCPURealtimeMask            objects.Field[string]               `json:"hw_cpu_realtime_mask"`
	HwCPUThreads                 objects.Field[int64]                `json:"hw_cpu_threads"`
	HwDeviceID                   objects.Field[int64]                `json:"hw_device_id"`
	HwDiskBus                    objects.Field[string]               `json:"hw_disk_bus"`
	HwDiskType                   objects.Field[string]               `json:"hw_disk_type"`
	HwFloppyBus                  objects.Field[string]               `json:"hw_floppy_bus"`
	HwFirmwareType               objects.Field[string]               `json:"hw_firmware_type"`
	HwInputBus                   objects.Field[string]               `json:"hw_input_bus"`
	HwIpxeBoot                   objects.Field[objects.FlexibleBool] `json:"hw_ipxe_boot"`
	HwLockedMemory               objects.Field[objects.FlexibleBool] `json:"hw_locked_memory"`
	HwMachineType                objects.Field[string]               `json:"hw_machine_type"`
	HwMemEncryption              objects.Field[objects.FlexibleBool] `json:"hw_mem_encryption"`
	HwMemPageSize                objects.Field[string]               `json:"hw_mem_page_size"`
	HwNUMANodes                  objects.Field[int64]                `json:"hw_numa_nodes"`
	HwNUMACpus                   objects.Field[[][]int64]            `json:"hw_numa_cpus"`
	HwNUMAMem                    objects.Field[[]int64]              `json:"hw_numa_mem"`
	HwPCINUMAAffinityPolicy      objects.Field[string]               `json:"hw_pci_numa_affinity_policy"`
	HwPointerModel               objects.Field[string]               `json:"hw_pointer_model"`
	HwPmu                        objects.Field[objects.FlexibleBool] `json:"hw_pmu"`
	HwQemuGuestAgent             objects.Field[objects.FlexibleBool] `json:"hw_qemu_guest_agent"`
	HwRescueBus                  objects.Field[string]               `json:"hw_rescue_bus"`
	HwRescueDevice               objects.Field[string]               `json:"hw_rescue_device"`
	HwRngModel                   objects.Field[string]               `json:"hw_rng_model"`
	HwTimeHpet                   objects.Field[objects.FlexibleBool] `json:"hw_time_hpet"`
	HwSerialPortCount            objects.Field[int64]                `json:"hw_serial_port_count"`
	HwScsiModel                  objects.Field[string]               `json:"hw_scsi_model"`
	HwVideoModel                 objects.Field[string]               `json:"hw_video_model"`
	HwVideoRAM                   objects.Field[int64]                `json:"hw_video_ram"`
	HwVIFModel                   objects.Field[string]               `json:"hw_vif_model"`
	HwViommuModel                objects.Field[string]               `json:"hw_viommu_model"`
	HwVMMode                     objects.Field[string]               `json:"hw_vm_mode"`
	HwWatchdogAction             objects.Field[string]               `json:"hw_watchdog_action"`
	HwVIFMultiqueueEnabled       objects.Field[objects.FlexibleBool] `json:"hw_vif_multiqueue_enabled"`
	HwTpmModel                   objects.Field[string]               `json:"hw_tpm_model"`
	HwTpmVersion                 objects.Field[string]               `json:"hw_tpm_version"`
	HwEphemeralEncryption        objects.Field[objects.FlexibleBool] `json:"hw_ephemeral_encryption"`
	HwEphemeralEncryptionFormat  objects.Field[string]               `json:"hw_ephemeral_encryption_format"`
	ImgBittorrent                objects.Field[objects.FlexibleBool] `json:"img_bittorrent"`
	ImgBdmV2                     objects.Field[objects.FlexibleBool] `json:"img_bdm_v2"`
	ImgBlockDeviceMapping        objects.Field[[]map[string]*string] `json:"img_block_device_mapping"`
	ImgCacheInNova               objects.Field[objects.FlexibleBool] `json:"img_cache_in_nova"`
	ImgCompressionLevel          objects.Field[int64]                `json:"img_compression_level"`
	ImgHvRequestedVersion        objects.Field[string]               `json:"img_hv_requested_version"`
	ImgHvType                    objects.Field[string]               `json:"img_hv_type"`
	ImgConfigDrive               objects.Field[string]               `json:"img_config_drive"`
	ImgLinkedClone               objects.Field[objects.FlexibleBool] `json:"img_linked_clone"`
	ImgMappings                  objects.Field[[]map[string]*string] `json:"img_mappings"`
	ImgOwnerID                   objects.Field[string]               `json:"img_owner_id"`
	ImgRootDeviceName            objects.Field[string]               `json:"img_root_device_name"`
	ImgUseAgent                  objects.Field[objects.FlexibleBool] `json:"img_use_agent"`
	ImgVersion                   objects.Field[int64]                `json:"img_version"`
	ImgSignature                 objects.Field[string]               `json:"img_signature"`
	ImgSignatureHashMethod       objects.Field[string]               `json:"img_signature_hash_method"`
	ImgSignatureCertificateUUID  objects.Field[string]               `json:"img_signature_certificate_uuid"`
	ImgSignatureKeyType          objects.Field[string]               `json:"img_signature_key_type"`
	ImgHideHypervisorID          objects.Field[objects.FlexibleBool] `json:"img_hide_hypervisor_id"`
	OSAdminUser                  objects.Field[string]               `json:"os_admin_user"`
	OSCommandLine                objects.Field[string]               `json:"os_command_line"`
	OSDistro                     objects.Field[string]               `json:"os_distro"`
	OSRequireQuiesce             objects.Field[objects.FlexibleBool] `json:"os_require_quiesce"`
	OSSecureBoot                 objects.Field[string]               `json:"os_secure_boot"`
	OSSkipAgentInjectFilesAtBoot objects.Field[objects.FlexibleBool] `json:"os_skip_agent_inject_files_at_boot"`
	OSSkipAgentInjectSSH         objects.Field[objects.FlexibleBool] `json:"os_skip_agent_inject_ssh"`
	OSType                       objects.Field[string]               `json:"os_type"`
	TraitsRequired               objects.Field[[]string]             `json:"traits_required"`
}

func (x ImageMetaProps) MarshalJSON() ([]byte, error)  { return objects.Marshal(x) }
func (x *ImageMetaProps) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }
