# frozen_string_literal: true

# `cyclecloud.exports.*`: what the template wants others to mount.
CycleCloudConfiguration.sections(node.read('cyclecloud', 'exports')).each do |name, section|
  next if section['export_path'].nil? && %w[builtinshared builtinsched].include?(name)

  cyclecloud_export name do
    configuration section.to_hash
    not_if { section['type'].to_s.casecmp?('smb') || section['samba'] }
  end
end
