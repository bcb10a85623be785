# frozen_string_literal: true

# The owner of the cluster, `cyclecloud.cluster.user`: the same name, number and home on every node, with a key of his own that lets
# him from node to node.
# What is shared comes first, wherever it is in the run list: homes belong onto it.
%w[cshared::server cshared::client].each { |recipe| include_recipe recipe if Array(node['recipes']).include?(recipe) }

owner = node.read('cyclecloud', 'cluster', 'user') || {}
name = owner['name'].to_s

if name.empty? || name == 'root' || owner['uid'].nil? || CycleCloudConfiguration.true?(owner['disabled'])
  Chef::Log.info('cuser: the cluster has no owner that nodes could have')
else
  raise "cuser: `#{name}` is no name of a user" unless name.match?(/\A[a-z_][a-z0-9_.-]{0,31}\z/i)

  uid = Integer(owner['uid'].to_s)
  gid = Integer((owner['gid'] || uid).to_s)
  home = File.join(node['cuser']['base_home_dir'], name)
  ssh = File.join(home, '.ssh')
  # What is written as root must not go where a user points it.
  link = [home, ssh, "#{ssh}/authorized_keys", "#{ssh}/config"].find { |path| File.symlink?(path) }
  raise "cuser: `#{link}` is a link: it is left as it is" if link

  directory node['cuser']['base_home_dir'] do
    recursive true
    mode '0755'
    not_if { File.directory?(node['cuser']['base_home_dir']) }
  end
  group name do
    gid gid
    # The number may be another group's; then that one is right.
    not_if do
      Etc.getgrgid(gid)
    rescue ArgumentError
      false
    end
  end
  user name do
    uid uid
    gid gid
    home home
    shell '/bin/bash'
    comment owner['full_name'].to_s unless owner['full_name'].to_s.empty?
    manage_home true
  end
  # Another node may have made it on a shared file system.
  directory home do
    owner uid
    group gid
    mode '0700'
    not_if { File.directory?(home) }
  end
  directory ssh do
    owner uid
    group gid
    mode '0700'
  end
  execute "key of #{name}" do
    command ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', "#{name}@#{node.read('cyclecloud', 'cluster', 'name')}", '-f', "#{ssh}/id_ed25519"]
    user name
    environment 'HOME' => home
    creates "#{ssh}/id_ed25519"
    only_if { Chef::Mixin::Which.instance_method(:which).bind_call(self, 'ssh-keygen') }
  end
  file "#{ssh}/authorized_keys" do
    content lazy {
      own = File.exist?("#{ssh}/id_ed25519.pub") ? File.read("#{ssh}/id_ed25519.pub").strip : nil
      there = File.exist?("#{ssh}/authorized_keys") ? File.readlines("#{ssh}/authorized_keys", chomp: true) : []
      [*there, owner['public_key']&.strip, own].compact.reject(&:empty?).uniq.join("\n") + "\n"
    }
    owner uid
    group gid
    mode '0600'
    backup false
    sensitive true
  end
  # The keys of new nodes are known to nobody: those are called by names without a domain, or by private addresses.
  file "#{ssh}/config" do
    content %w[* 10.* 172.* 192.168.*].map { |pattern|
      pattern = '* !*.*' if pattern == '*'
      "Host #{pattern}\n    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n    LogLevel ERROR\n"
    }.join
    owner uid
    group gid
    mode '0600'
    action :create_if_missing
  end
end
