# frozen_string_literal: true

# The folders that schedulers expect on what all nodes share.
%w[sched shared].each do |name|
  mountpoint = node['cshared']['client']['defaults'][name]['mountpoint']
  directory mountpoint do
    recursive true
    mode '0755'
    not_if { File.directory?(mountpoint) }
  end
end
