What recipes do beside declaring resources.

### locals of the host are no variables of a recipe
puts [defined?(source), defined?(object), defined?(e)].inspect
#< [nil, nil, nil]

### Chef::Log returns a true value
nodes = [1, 2].select { |n| Chef::Log.info("node #{n}") if n == 2 }
puts nodes.inspect
#< [2]
#? Info: node 2

### levels of the log
Chef::Log.warn 'careful'
Chef::Log.debug 'hidden'
Chef::Log.error { 'block' }
#? Warn: careful
#? Error: block
#- Debug: hidden

### shell_out
out = shell_out('echo hi; exit 2')
puts out.stdout, out.exitstatus, out.error?
#< hi
#< 2
#< true

### shell_out! raises
shell_out!('echo oops >&2; exit 2')
#! Expected process to exit with [0], but received '2'

### shell_out! with returns
puts shell_out!('exit 2', returns: [0, 2]).exitstatus
#< 2

### Mixlib::ShellOut
cmd = Mixlib::ShellOut.new('echo a b').run_command
puts cmd.stdout.split.inspect, cmd.exitstatus
cmd.error!
#< ["a", "b"]
#< 0

### File.exists? is kept, with one warning
puts File.exists?('/etc/passwd'), File.exists?('/nowhere')
#< true
#< false
#? Warn: `File.exists?` is gone since Ruby 3.2; write `File.exist?`

### Dir.exists? is kept
puts Dir.exists?('/etc')
#< true

### URI.escape is kept
puts URI.escape('a b'), URI.unescape('a%20b')
#< a%20b
#< a b

### Chef::Util::FileEdit
edit = Chef::Util::FileEdit.new('DIR/a')
edit.search_file_replace_line(/^b/, 'B')
edit.insert_line_if_no_match(/^d/, 'd')
edit.insert_line_if_no_match(/^a/, 'never')
edit.insert_line_after_match('a', 'a2')
edit.search_file_replace('c', 'C')
edit.write_file
puts File.read('DIR/a')
#@ a
a
b 1
c
#< a
#< a2
#< B
#< C
#< d

### FileEdit deletes lines
edit = Chef::Util::FileEdit.new('DIR/a')
edit.search_file_delete_line(/^b/)
puts edit.unwritten_changes?
edit.write_file
puts File.read('DIR/a')
#@ a
a
b
#< true
#< a

### FileEdit of what is not there
Chef::Util::FileEdit.new('DIR/none')
#! File 'DIR/none' does not exist

### Chef::Config
Chef::Config[:x] = 1
puts Chef::Config[:x], Chef::Config.x, Chef::Config['x'], Chef::Config[:none].inspect
puts Chef::Config[:file_cache_path], Chef::Config[:cookbook_path][0]
#< 1
#< 1
#< 1
#< nil
#< DIR/cache
#< DIR/cookbooks

### Chef::Application.fatal! ends the run
Chef::Application.fatal!('enough', 3)
#! enough

### raise at compile time applies nothing
file 'DIR/a'
raise 'no' unless node['x']
#! default.rb:2: no
#x a

### throw with a text
throw 'a text'
#! uncaught throw "a text"

### Gem::Version
puts Gem::Version.new(node['platform_version']) >= Gem::Version.new('20.04')
#< true

### Digest and Base64 without require
puts Digest::MD5.hexdigest('a'), Base64.strict_encode64('a')
#< 0cc175b9c0f1b6a831c399e269772661
#< YQ==

### JSONCompat
puts Chef::JSONCompat.to_json_pretty('a' => 1).lines.size, Chef::JSONCompat.from_json('{"a":1}')['a']
#< 3
#< 1

### which
puts which('sh').end_with?('/sh'), which('no-such-program')
#< true
#< false

### a loop of resources
(1..3).each do |i|
  file "DIR/f#{i}" do
    content i.to_s
  end
end
#> f3 3

### user(x) beside a local of the same name
log = 'local'
log(log)
#= log[local] write: up to date

### resources with names of arrays
puts Chef::Resource.of(:package).nil?
#< false

### for loops and lambdas
result = []
for x in %w[a b] do result << x end
f = ->(y) { y * 2 }
puts result.inspect, f.call(2), f.(3)
#< ["a", "b"]
#< 4
#< 6

### here-documents
file 'DIR/a' do
  content <<-EOH.gsub(/^ {4}/, '')
    one
      two
    EOH
end
#> a one\n  two\n

### modifiers behind blocks
file 'DIR/a' do
  content 'x'
end unless File.exist?('DIR/a')
file 'DIR/b' do
end if false
#once
#= file[DIR/a] create: updated

### mode as number and as text
file('DIR/a') { mode 0o600 }
file('DIR/b') { mode '600' }
ruby_block('x') { block { puts File.stat('DIR/a').mode.to_s(8), File.stat('DIR/b').mode.to_s(8) } }
#< 100600
#< 100600

### owner by its other name
file('DIR/a') { user Process.uid }
#? file[DIR/a] create: updated

### a property read without an argument
execute 'x' do
  command 'true'
  creates # nothing
end
#= execute[x] run: updated

### creates
execute('x') { command 'touch DIR/a'; creates 'DIR/a' }
execute('y') { command 'touch DIR/a'; creates 'DIR/a' }
#= execute[x] run: updated
#= execute[y] run: up to date
#once

### environment, cwd and umask of execute
execute 'x' do
  command 'echo "$WORD $(pwd) $(umask)" > out'
  cwd 'DIR'
  environment 'WORD' => 'hi'
  umask '027'
end
#> out hi DIR 0027\n

### returns
execute('x') { command 'exit 7'; returns [0, 7] }
#= execute[x] run: updated

### live output and errors of a command
execute 'echo to out; echo to err >&2; exit 9'
#! to out
#! to err

### bash
bash 'x' do
  code <<-EOH
    set -e
    for i in 1 2; do echo $i >> DIR/a; done
  EOH
end
#> a 1\n2\n

### bash that fails
bash('x') { code 'exit 4' }
#! bash[x]

### ruby_block raises
ruby_block 'x' do
  block { raise ArgumentError, 'inside' }
end
#! ruby_block[x]
#! inside

### notified ruby_blocks, by run and create
ruby_block('a') { block { puts 'a' }; action :nothing }
file('DIR/a') { notifies :run, 'ruby_block[a]', :immediately; notifies :create, 'ruby_block[a]', :immediately }
#< a
#< a

### directories and links
directory 'DIR/x/y' do
  recursive true
  mode '0750'
end
link 'DIR/l' do
  to 'DIR/x'
end
#= directory[DIR/x/y] create: updated
#= link[DIR/l] create: updated

### lines in files
append_if_no_line 'add' do
  path 'DIR/a'
  line 'new'
end
replace_or_add 'replace' do
  path 'DIR/a'
  pattern '^old'
  line 'old=2'
end
#@ a
old=1
#? append_if_no_line[add] edit: updated
#? replace_or_add[replace] edit: updated

### defer_block runs at the end, with its own resources
order = []
defer_block 'late' do
  order << 'deferred'
  file 'DIR/late' do
    content order.join(',')
  end
end
ruby_block('now') { block { order << 'now' } }
#> late now,deferred
#? file[DIR/late] create: updated

### what defer_block declares notifies what is outside
execute('outer') { command 'echo ran > DIR/ran'; action :nothing }
defer_block('late') { file('DIR/a') { notifies :run, 'execute[outer]' } }
#> ran ran\n

### defer_block that fails
defer_block('late') { raise 'late failure' }
#! late failure

### cluster
puts cluster.search.inspect, CycleCloudCluster.new(node).search(recipe: 'x').inspect
cluster.search(role: 'scheduler', singular: 'no scheduler')
#< []
#< []
#! no scheduler

### cluster.search finds what made itself known
node.override['x']['y'] = 'strong'
cluster.store_discoverable
cluster.store_discoverable(node.to_json)
puts cluster.search.map { |n| [n.dig(:cyclecloud, 'node', 'id'), n[:x][:y], n['platform']].join(' ') }
puts [{ recipe: 't' }, { recipe: 't::default' }, { recipe: 't::x' }, { role: 'r' }, { role: 'none' }].map { |o| cluster.search(o).size }.inspect
puts [{ platform: 'ubuntu' }, { platform: 'suse' }, { 'is_scheduler' => true }].map { |o| cluster.search(o).size }.inspect
puts cluster.search { |n| n['platform'] == 'suse' }.size, cluster.search(clusterUID: 'c1').size
puts cluster.search(singular: 'not one')['platform'], cluster.scheduler, cluster.scheduler_ip
cluster.search(clusterUID: 'elsewhere')
#@ roles/r.rb
run_list 'recipe[t]'
#list role[r]
#normal {"cyclecloud": {"node": {"id": "n1"}, "cluster": {"id": "c1", "name": "demo"}, "is_scheduler": true, "instance": {"ipv4": "10.9.8.7"}}}
#< n1 strong ubuntu
#< [1, 1, 0, 1, 0]
#< [1, 0, 1]
#< 0
#< 1
#< ubuntu
#< node1
#< 10.9.8.7
#! cluster.search: `elsewhere` is another cluster; nodes see those of their own

### under dry run a node is seen by its own recipes only
cluster.store_discoverable
puts cluster.search.size
#dry
#< 1

### a definition is recipe code with parameters
site 'one' do
  port 81
  names 'a', 'b'
end
site('two') { file_mode '0600' }
puts respond_to?(:site)
#@ cookbooks/t/definitions/site.rb
define :site, port: 80, file_mode: '0644' do
  raise 'no name' if params[:name].nil?
  file "DIR/#{params[:name]}" do
    content "#{params[:port]} #{Array(params['names']).join('-')} #{node['platform']} #{cookbook_name}"
    mode params[:file_mode]
  end
end
#= file[DIR/one] create: updated
#= file[DIR/two] create: updated
#> one 81 a-b ubuntu t
#> two 80  ubuntu t
#< true

### a definition without a block
include_recipe 't'
#@ cookbooks/t/definitions/site.rb
define :site
#! define `site` needs a block

### facts are collected again
ohai('reload') { action :nothing }
file('DIR/a') do
  content lazy { node['hostname'] }
end
ruby_block('now') { block { resources('ohai[reload]').run_action(:reload) } }
file('DIR/b') do
  content lazy { node['hostname'] + ' ' + node['platform'] }
end
#once
#> a node1
#> b collected ubuntu

### what the machine is is stronger than what cookbooks say
node.override['platform'] = 'plan9'
node.default['ipaddress'] = '1.2.3.4'
puts node['platform'], node['ipaddress']
#< ubuntu
#< 10.0.0.4

### a reboot now ends the recipes
reboot('now') { action :reboot_now; reason 'a new kernel' }
file('DIR/after')
#x after
#! a recipe asks for a reboot: a new kernel
#~ Rebooting: a new kernel
#= reboot[now] reboot_now: updated

### a reboot that is requested waits for the end
reboot('later') { action :request_reboot }
file('DIR/after')
#once
#? file[DIR/after] create: updated

### under dry run nothing reboots
reboot('now') { action :reboot_now }
file('DIR/after')
#dry
#? file[DIR/after] create: updated

### ignore_failure quiet
execute('false') { ignore_failure :quiet }
#= execute[false] run: ignored

### a delayed notification runs even when the run fails
execute('later') { command 'echo later > DIR/later'; action :nothing }
file('DIR/a') { notifies :run, 'execute[later]' }
execute 'false'
#! execute[false]
#> later later\n

### lazy in a name of a command
execute 'x' do
  command lazy { "echo #{node.run_state['word']} > DIR/a" }
end
ruby_block('y') { block { } }
node.run_state['word'] = 'lazy'
#> a lazy\n

### subscribes to several resources
execute('sub') { command 'echo x >> DIR/log'; action :nothing; subscribes :run, ['file[DIR/a]', 'file[DIR/b]'], :immediately }
file 'DIR/a'
file 'DIR/b'
#> log x\nx\n

### subscribes to what is never declared
execute('sub') { command 'true'; action :nothing; subscribes :run, 'service[none]', :before }
#= execute[sub] nothing: skipped (action :nothing)

### notifies with a resource object
target = execute('t') { command 'true'; action :nothing }
file('DIR/a') { notifies :run, target, :immediately }
#? execute[t] run: updated

### notifies with a hash
execute('t') { command 'true'; action :nothing }
file('DIR/a') { notifies :run, { execute: 't' }, :immediately }
#? execute[t] run: updated

### a timing that does not exist
file('DIR/a') { notifies :run, 'file[DIR/a]', :soon }
#! invalid timing: soon

### guard_interpreter
file('DIR/a') { guard_interpreter :bash; only_if '[[ a == a ]]' }
#= file[DIR/a] create: updated

### guards of scripts run in their folder
bash('x') { cwd 'DIR'; code 'echo x > out'; not_if 'test -f marker' }
#@ marker
#= bash[x] run: skipped (not_if)

### a guard with a user
file('DIR/a') { only_if 'true', user: Process.uid }
#= file[DIR/a] create: updated

### an empty resource name
file ''
#! file[]

### resources without a name
file
#! file must have a name

### timeouts of commands
execute('sleep 100') { timeout 1 }
#! execute[sleep 100]

### sensitive resources hide their content
file 'DIR/a' do
  content 'secret'
  sensitive true
end
#~ suppressed sensitive resource
