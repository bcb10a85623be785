# frozen_string_literal: true

# `cyclecloud.hosts.standalone_dns`: names that follow from addresses, for networks without a name service. Off unless it is enabled.
dns = node.read('cyclecloud', 'hosts', 'standalone_dns') || {}

if CycleCloudConfiguration.true?(dns['enabled'])
  address = node.read('cyclecloud', 'instance', 'ipv4') || node['ipaddress']
  if !address.to_s.match?(/\A\d+(\.\d+){3}\z/) || address.start_with?('127.')
    raise "cyclecloud.hosts.standalone_dns: the node has no IPv4 address that others could use (#{address.inspect})"
  end

  suffix = dns['alt_suffix'].to_s.delete_prefix('.')
  subnets = CycleCloudConfiguration.list(dns['subnets']).map { |subnet| IPAddr.new(subnet) }
  too_large = subnets.find { |subnet| subnet.prefix < 20 }
  raise "cyclecloud.hosts.standalone_dns: the subnet #{too_large}/#{too_large.prefix} has more than 4096 addresses" if too_large

  addresses = [address, *subnets.flat_map { |subnet| subnet.to_range.map(&:to_s) }].uniq
  lines = addresses.map do |one|
    name = CycleCloudConfiguration.name_of(one)
    suffix.empty? ? "#{one} #{name}" : "#{one} #{name}.#{suffix} #{name}"
  end
  file '/etc/hosts' do
    content lazy { CycleCloudConfiguration.hosts(File.exist?('/etc/hosts') ? File.read('/etc/hosts') : '', lines) }
    mode '0644'
    backup false
  end
  # With its own address: schedulers must not find it at that of the loopback interface.
  hostname CycleCloudConfiguration.name_of(address) do
    ipaddress address
    fqdn "#{CycleCloudConfiguration.name_of(address)}.#{suffix}" unless suffix.empty?
  end
end
