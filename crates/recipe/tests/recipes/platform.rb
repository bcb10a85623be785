The cookbooks and roles that every node has. What would change the machine is tried under dry run.

### without configuration every node does nothing
#platform
#list recipe[cyclecloud], recipe[cluster_init]
#= ruby_block[dump node.json] nothing: skipped (action :nothing)

### names by address are off unless they are enabled
#platform
#dry
#list recipe[cyclecloud]
#normal {"cyclecloud": {"hosts": {"standalone_dns": {"enabled": "false", "subnets": "10.0.0.0/30"}}}}
#- file[/etc/hosts] create: updated

### names by address
#platform
#dry
#list recipe[cyclecloud]
#normal {"cyclecloud": {"instance": {"ipv4": "10.0.0.4"}, "hosts": {"standalone_dns": {"enabled": true, "alt_suffix": "hpc.example", "subnets": "10.0.1.0/30"}}}}
#? file[/etc/hosts] create: updated
#? hostname[ip-0A000004] set: updated
#~ +10.0.0.4 ip-0A000004.hpc.example ip-0A000004
#~ +10.0.1.3 ip-0A000103.hpc.example ip-0A000103

### a node that only has the address of the loopback interface
#platform
#list recipe[cyclecloud]
#normal {"cyclecloud": {"instance": {"ipv4": "127.0.0.1"}, "hosts": {"standalone_dns": {"enabled": true}}}}
#! the node has no IPv4 address that others could use ("127.0.0.1")

### a subnet with too many addresses
#platform
#dry
#list recipe[cyclecloud]
#normal {"cyclecloud": {"hosts": {"standalone_dns": {"enabled": true, "subnets": "10.0.0.0/8"}}}}
#! the subnet 10.0.0.0/8 has more than 4096 addresses

### the part of a hosts file that is ours
include_recipe 'cyclecloud'
first = CycleCloudConfiguration.hosts("127.0.0.1 localhost", ['10.0.0.4 a'])
puts first
puts CycleCloudConfiguration.hosts(first, ['10.0.0.4 a']) == first
puts CycleCloudConfiguration.hosts(first + "10.9.9.9 mine\n", ['10.0.0.5 b'])
puts CycleCloudConfiguration.hosts(first, []).inspect
#@ cookbooks/t/metadata.rb
depends 'cyclecloud'
#platform
#< 127.0.0.1 localhost
#< # BEGIN cyclecloud.hosts.standalone_dns
#< 10.0.0.4 a
#< # END cyclecloud.hosts.standalone_dns
#< true
#< 127.0.0.1 localhost
#< # BEGIN cyclecloud.hosts.standalone_dns
#< 10.0.0.5 b
#< # END cyclecloud.hosts.standalone_dns
#< 10.9.9.9 mine
#< "127.0.0.1 localhost\n"

### mounts come by their order
include_recipe 'cyclecloud'
sections = { 'b' => { 'order' => '5' }, 'a' => { 'options' => 'ro' }, 'c' => { 'order' => 2000 }, 'd' => 'no section', 'ephemeral' => {} }
puts CycleCloudConfiguration.sections(sections, 'options' => 'noatime').map { |name, section| [name, section['options']].join(':') }.join(' ')
#@ cookbooks/t/metadata.rb
depends 'cyclecloud'
#platform
#< ephemeral:noatime b:noatime a:ro c:noatime

### a node that is discoverable makes itself known, at the end again
node.override['t']['late'] = 'yes'
#platform
#list recipe[cyclecloud], recipe[t], recipe[t::look]
#normal {"cyclecloud": {"discoverable": true, "node": {"id": "n1"}}}
#@ cookbooks/t/recipes/look.rb
puts cluster.search.map { |n| n.dig('t', 'late').inspect }
#? ruby_block[dump node.json] nothing: skipped (action :nothing)
#< nil

### the owner of the cluster
#platform
#dry
#list recipe[cuser]
#normal {"cuser": {"base_home_dir": "DIR/home"}, "cyclecloud": {"cluster": {"name": "demo", "user": {"name": "alice-of-test", "uid": 29999, "public_key": "ssh-ed25519 AAAA alice"}}}}
#? group[alice-of-test] create: updated
#? user[alice-of-test] create: updated

### no owner, root, and one that is disabled
include_recipe 'cuser'
#@ cookbooks/t/metadata.rb
depends 'cuser'
#platform
#normal {"cyclecloud": {"cluster": {"user": {"name": "bob", "uid": 29998, "disabled": true}}}}
#- user[bob] create: updated
#? Info: cuser: the cluster has no owner that nodes could have

### an owner with a name that is none
#platform
#list recipe[cuser]
#normal {"cyclecloud": {"cluster": {"user": {"name": "../x", "uid": 29998}}}}
#! cuser: `../x` is no name of a user

### the server of what is shared
#platform
#dry
#list recipe[cshared::server]
#normal {"cshared": {"client": {"defaults": {"shared": {"mountpoint": "DIR/shared"}, "sched": {"mountpoint": "DIR/sched"}}}}, "cyclecloud": {"exports": {"builtinsched": {"disabled": true}}}}
#? cyclecloud_export[builtinshared] export: updated
#? link[DIR/shared] create: updated
#- link[DIR/sched] create: updated

### homes go onto what is shared, whatever the order
#platform
#dry
#list recipe[cuser], recipe[cshared::directories], recipe[cshared::server]
#normal {"cuser": {"base_home_dir": "DIR/shared/home"}, "cshared": {"client": {"defaults": {"shared": {"mountpoint": "DIR/shared"}, "sched": {"mountpoint": "DIR/sched"}}}}, "cyclecloud": {"cluster": {"user": {"name": "alice-of-test", "uid": 29999}}}}
#= directory[/mnt/exports/shared] create: updated
#= cyclecloud_export[builtinshared] export: updated
#= link[DIR/shared] create: updated
#= directory[/mnt/exports/sched] create: updated
#= cyclecloud_export[builtinsched] export: updated
#= link[DIR/sched] create: updated
#= directory[DIR/shared/home] create: updated
#= group[alice-of-test] create: updated
#= user[alice-of-test] create: updated
#= directory[DIR/shared/home/alice-of-test] create: updated
#= directory[DIR/shared/home/alice-of-test/.ssh] create: updated
#= execute[key of alice-of-test] run: updated
#= file[DIR/shared/home/alice-of-test/.ssh/authorized_keys] create: updated
#= file[DIR/shared/home/alice-of-test/.ssh/config] create_if_missing: updated
#= directory[DIR/shared] create: updated
#= directory[DIR/sched] create: updated
#= directory[DIR/shared/home] create: updated

### who wants what is shared before anybody has it
#platform
#list recipe[cshared::client]
#! no node with `cshared::server` has made itself known yet

### who wants nothing of it
#platform
#list recipe[cshared::client], recipe[cshared::directories]
#normal {"cuser": {"base_home_dir": "DIR/shared/home"}, "cshared": {"client": {"defaults": {"shared": {"mountpoint": "DIR/shared"}, "sched": {"mountpoint": "DIR/sched"}}}}, "cyclecloud": {"mounts": {"builtinshared": {"disabled": "true"}, "builtinsched": {"disabled": true}}}}
#= directory[DIR/shared] create: updated
#= directory[DIR/sched] create: updated
#= directory[DIR/shared/home] create: updated

### who wants it from the server that has made itself known
#platform
#dry
#list recipe[cshared::client]
#nodes [{"recipes": ["cshared::server"], "cyclecloud": {"instance": {"ipv4": "10.0.0.9"}}}]
#normal {"cyclecloud": {"mounts": {"builtinsched": {"disabled": true}}}}
#? cyclecloud_mount[builtinshared] mount: updated
#- cyclecloud_mount[builtinsched] mount: updated
#~ 10.0.0.9:/mnt/exports/shared

### a file of a thunderball
thunderball_config('default') { base 'file://DIR/storage/' }
2.times { |i| thunderball("x#{i}") { url 'cycle/x.rpm' } }
#@ storage/cycle/x.rpm
content
#platform
#list recipe[cyclecloud], recipe[t]
#normal {"thunderball": {"storedir": "DIR/store"}}
#> store/cycle/x.rpm content\n

### a thunderball without a place
thunderball('x') { url 'cycle/x.rpm' }
#! `cycle/x.rpm` is no whole URL, and no `thunderball_config` has a base

### folders that projects expect
puts node['jdk']['home'], node[:cshared][:client][:defaults][:sched][:mountpoint], node['cuser']['base_home_dir']
#platform
#list recipe[jetpack], recipe[thunderball], recipe[t]
#normal {"jetpack": {"downloads": "DIR/downloads"}, "thunderball": {"storedir": "DIR/store"}}
#= directory[DIR/downloads] create: updated
#= directory[DIR/store] create: updated
#< /usr/lib/jvm/default-java
#< /sched
#< /shared/home

### a role as schedulers' projects have it
#platform
#list role[t_scheduler]
#@ roles/t_scheduler.rb
name 'sge_master_role'
run_list 'role[scheduler]', 'recipe[cshared::directories]', 'recipe[cuser]', 'recipe[cganglia::client]', 'recipe[tandem::install_driver]', 'recipe[t]'
default_attributes 'cyclecloud' => { 'discoverable' => true }
#@ cookbooks/t/metadata.rb
%w[cshared cuser cganglia cyclecloud jetpack line sysctl nfs].each { |name| depends name }
#@ cookbooks/t/recipes/default.rb
puts cluster.search(recipe: 't').size, node['recipes'].include?('cshared::directories')
#normal {"cuser": {"base_home_dir": "DIR/shared/home"}, "cshared": {"client": {"defaults": {"shared": {"mountpoint": "DIR/shared"}, "sched": {"mountpoint": "DIR/sched"}}}}}
#? directory[DIR/sched] create: updated
#< 1
#< true

### what projects ask of the tool of the node
File.chmod(0o755, 'DIR/jetpack')
Chef::Config[:jetpack] = 'DIR/jetpack'
include_recipe 'jetpack'
directory node['jetpack']['downloads']
jetpack_download 'x-1.0.tar.gz' do
  project 'demo'
  thunderball_url 'cycle/x-1.0.tar.gz'
end
jetpack_download('sub/y.rpm') { project 'demo'; dest 'DIR/made/y-renamed.rpm' }
jetpack_download('z.rpm') { project 'demo'; dest 'DIR/downloads' }
jetpack_download('away') { project 'demo'; dest 'DIR/away'; only_if { false } }
jetpack_download('none.rpm') { project 'demo'; ignore_failure true }
jetpack_send('started') { file 'DIR/state.json'; routing_key 'demo.gridengine' }
jetpack_send '- plain text'
jetpack_log('--gluster is up') { level 'warn'; priority 'low' }
jetpack_log 'as usual'
#@ cookbooks/t/metadata.rb
depends 'jetpack'
#@ jetpack
#!/bin/sh
echo "$*" >>DIR/calls
case $4 in none.rpm) echo 'no such blob' >&2; exit 1 ;; esac
[ "$1" != download ] || echo "$4" >"$5"
#platform
#once
#normal {"jetpack": {"downloads": "DIR/downloads"}}
#? jetpack_download[x-1.0.tar.gz] download: updated
#? jetpack_download[none.rpm] download: ignored
#- jetpack_download[away] download: updated
#> downloads/x-1.0.tar.gz x-1.0.tar.gz\n
#> made/y-renamed.rpm sub/y.rpm\n
#> downloads/z.rpm z.rpm\n
#> calls download --project demo x-1.0.tar.gz DIR/downloads/x-1.0.tar.gz\ndownload --project demo sub/y.rpm DIR/made/y-renamed.rpm\ndownload --project demo z.rpm DIR/downloads/z.rpm\ndownload --project demo none.rpm DIR/downloads/none.rpm\nsend --routing-key demo.gridengine --file DIR/state.json\nsend -- - plain text\nlog --level warn --priority low -- --gluster is up\nlog --level info -- as usual\n

### a download is made once
File.chmod(0o755, 'DIR/jetpack')
Chef::Config[:jetpack] = 'DIR/jetpack'
jetpack_download('x.rpm') { project 'demo' }
#@ jetpack
#!/bin/sh
echo x >"$5"
#platform
#list recipe[jetpack], recipe[t]
#normal {"jetpack": {"downloads": "DIR/downloads"}}
#= directory[DIR/downloads] create: updated
#= jetpack_download[x.rpm] download: updated

### what is asked of the tool of the node under dry run
File.chmod(0o755, 'DIR/jetpack')
Chef::Config[:jetpack] = 'DIR/jetpack'
jetpack_download('x.rpm') { project 'demo'; dest 'DIR/made/x.rpm' }
jetpack_send('m') { routing_key 'k' }
jetpack_log 'l'
#@ jetpack
#!/bin/sh
echo "$*" >>DIR/calls
#dry
#? jetpack_download[x.rpm] download: updated
#x calls
#x made

### a download that the node cannot make
File.chmod(0o755, 'DIR/jetpack')
Chef::Config[:jetpack] = 'DIR/jetpack'
jetpack_download('none.rpm') { project 'demo'; dest 'DIR/none.rpm' }
#@ jetpack
#!/bin/sh
echo "error: no such blob \`$4\`" >&2; exit 1
#! jetpack_download[none.rpm]
#! no such blob `none.rpm`

### a download of no project
jetpack_download('x.rpm') { dest 'DIR/x.rpm' }
#! project

### a scheduler as public projects have it
include_recipe 'cyclecloud'
include_recipe 'cshared::directories'
include_recipe 'cuser'
scheduler = cluster.scheduler
sched = node[:cshared][:client][:defaults][:sched][:mountpoint]
directory "#{sched}/conf"
template "#{sched}/conf/hosts" do
  source 'hosts.erb'
  variables lazy { { nodes: cluster.search(recipe: 't') } }
end
%w[shared].each { |name| puts node['cyclecloud']['mounts'][name]['mountpoint'] }
file("#{sched}/dumped") { content 'x'; notifies :run, 'ruby_block[dump node.json]', :before }
defer_block 'when all is done' do
  file("#{sched}/conf/late") { content "#{scheduler.inspect}\n" }
end
#@ cookbooks/t/metadata.rb
%w[cuser cshared cyclecloud].each { |c| depends c }
#@ cookbooks/t/templates/default/hosts.erb
<% @nodes.each do |n| %><%= n['cyclecloud']['instance']['ipv4'] %>
<% end %>
#@ roles/demo_scheduler_role.rb
name 'other_name'
run_list 'role[central_manager]', 'role[scheduler]', 'role[application_server]', 'role[monitor]', 'recipe[t]'
#platform
#list role[demo_scheduler_role]
#nodes [{"recipes": ["t"], "roles": ["demo_scheduler_role"], "hostname": "exec9", "cyclecloud": {"instance": {"ipv4": "10.0.0.9"}}}]
#normal {"cuser": {"base_home_dir": "DIR/shared/home"}, "cshared": {"client": {"defaults": {"shared": {"mountpoint": "DIR/shared"}, "sched": {"mountpoint": "DIR/sched"}}}}, "cyclecloud": {"mounts": {"shared": {"mountpoint": "/x", "disabled": true}}}}
#? ruby_block[dump node.json] run: updated
#> sched/conf/hosts 10.0.0.9\n\n
#> sched/conf/late "exec9"\n
#< /x
