Files, folders and links as Chef documents them, and what the survey has seen.

### file create_if_missing leaves what is there
file('DIR/a') { content 'new'; action :create_if_missing }
file('DIR/b') { content 'new'; action :create_if_missing }
#@ a
old
#= file[DIR/a] create_if_missing: up to date
#= file[DIR/b] create_if_missing: updated
#> a old\n

### file delete of what is not there
file('DIR/a') { action :delete }
#= file[DIR/a] delete: up to date

### file without content leaves the content
file('DIR/a') { mode '0600' }
#@ a
old
#= file[DIR/a] create: updated
#> a old\n

### a diff is in the log
file('DIR/a') { content "one\nthree\n" }
#@ a
one
two
#~ -two
#~ +three

### a folder that is missing is an error
file('DIR/none/a')
#! file[DIR/none/a]

### directory, not recursive
directory 'DIR/x/y'
#! directory[DIR/x/y]

### directory delete
directory('DIR/x') { action :delete; recursive true }
#@ x/y
1
#= directory[DIR/x] delete: updated
#x x

### directory delete of what is not empty
directory('DIR/x') { action :delete }
#@ x/y
1
#! directory[DIR/x]

### directory where a file is
directory 'DIR/a'
#@ a
1
#! directory[DIR/a]

### link delete
link('DIR/l') { to 'DIR/a' }
link('DIR/l') { to 'DIR/a'; action :delete }
#once
#= link[DIR/l] create: updated
#= link[DIR/l] delete: updated

### a link that leads elsewhere is changed
link('DIR/l') { to 'DIR/a' }
link('DIR/l') { to 'DIR/b' }
ruby_block('x') { block { puts File.readlink('DIR/l') } }
#once
#< DIR/b

### a hard link
link 'DIR/h' do
  to 'DIR/a'
  link_type :hard
end
ruby_block('x') { block { puts File.stat('DIR/a').nlink } }
#@ a
1
#< 2

### remote_file of a file
remote_file 'DIR/b' do
  source 'file://DIR/a'
  mode '0600'
end
#@ a
content
#= remote_file[DIR/b] create: updated
#> b content\n

### remote_file without its source
remote_file('DIR/b') { source 'file://DIR/none' }
#! remote_file[DIR/b]

### remote_file with a checksum that is wrong
remote_file 'DIR/b' do
  source 'file://DIR/a'
  checksum 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
end
#@ a
content
#! checksum

### a command that is not there
execute 'no-such-program'
#! execute[no-such-program]

### execute as a list of words
execute 'x' do
  command ['cp', 'DIR/a b', 'DIR/c']
end
#@ a b
1
#> c 1\n

### script with an interpreter of its own
script 'x' do
  interpreter 'sh'
  code 'echo script > DIR/a'
end
#> a script\n

### a service that does nothing by itself
service('none') { action :nothing }
#= service[none] nothing: skipped (action :nothing)

### package of nothing
package('x') { action :nothing }
#= package[x] nothing: skipped (action :nothing)

### apt_package where apt is
puts Chef::Resource.of(:package).resource_name, Chef::Resource.of(:apt_package).resource_name
#< apt_package
#< apt_package

### a guard that raises ends the run
file('DIR/a') { only_if { raise 'in the guard' } }
#! in the guard

### a guard sees the properties of its resource
file('DIR/a') { content 'x'; only_if { path == 'DIR/a' && content == 'x' } }
#= file[DIR/a] create: updated

### a guard with quotes and pipes
file('DIR/a') { only_if "echo 'a b' | grep -q 'a b' && [ $(echo 1) = 1 ]" }
#= file[DIR/a] create: updated

### five guards
file('DIR/a') { 5.times { only_if 'true' }; not_if 'false' }
#= file[DIR/a] create: updated

### not_if with an interpolated condition
file('DIR/a') { not_if { ::File.exist?('DIR/b') } }
#@ b
#= file[DIR/a] create: skipped (not_if)

### case within a block
file 'DIR/a' do
  case node['platform_family']
  when 'debian' then content 'deb'
  else content 'rpm'
  end
end
#> a deb

### action nothing, then run by hand
e = execute('x') { command 'echo x > DIR/a'; action :nothing }
e.run_action(:run)
#once
#? execute[x] run: updated
#> a x\n

### notified twice, delayed, runs once
execute('x') { command 'echo x >> DIR/log'; action :nothing }
2.times { |i| file("DIR/#{i}") { notifies :run, 'execute[x]', :delayed } }
#> log x\n

### an immediate notification runs each time
execute('x') { command 'echo x >> DIR/log'; action :nothing }
2.times { |i| file("DIR/#{i}") { notifies :run, 'execute[x]', :immediately } }
#> log x\nx\n

### chains of notifications
execute('c') { command 'echo c >> DIR/log'; action :nothing }
execute('b') { command 'echo b >> DIR/log'; action :nothing; notifies :run, 'execute[c]', :immediately }
file('DIR/a') { notifies :run, 'execute[b]', :immediately }
#> log b\nc\n

### delayed notifications from delayed ones
execute('c') { command 'echo c >> DIR/log'; action :nothing }
execute('b') { command 'echo b >> DIR/log'; action :nothing; notifies :run, 'execute[c]' }
file('DIR/a') { notifies :run, 'execute[b]' }
#> log b\nc\n

### notifies with a name that has brackets
execute('x[1]') { command 'true'; action :nothing }
file('DIR/a') { notifies :run, 'execute[x[1]]', :immediately }
#? execute[x[1]] run: updated

### notification groups
notify_group 'group' do
  notifies :create, 'file[DIR/a]', :immediately
  action :run
end
file('DIR/a') { action :nothing }
#? file[DIR/a] create: updated

### subscribes of what comes later and earlier
file 'DIR/a'
execute('after') { command 'echo x > DIR/log'; action :nothing; subscribes :run, 'file[DIR/a]', :delayed }
#> log x\n

### a resource that is notified with an action that it has not
file('DIR/a') { notifies :explode, 'file[DIR/b]', :immediately }
file 'DIR/b'
#! has no action :explode

### updated is false when a guard holds it back
f = file('DIR/a') { not_if { true } }
ruby_block('x') { block { puts f.updated_by_last_action? } }
#< false

### resource objects in strings
f = file('DIR/a') { content 'x' }
puts f, f.name, f.path, f.content, f.action.inspect
#< file[DIR/a]
#< DIR/a
#< DIR/a
#< x
#< [:create]

### properties with an equals sign
f = file('DIR/a')
f.content = 'set'
#> a set

### a nil resets a property
file('DIR/a') { content 'x'; mode '0600'; mode nil }
#> a x

### variables of a template by symbols and strings
template('DIR/a') { source 'a.erb'; variables('x' => 1, y: 2) }
#@ cookbooks/t/templates/default/a.erb
<%= @x %><%= @y %>
#> a 12\n

### a template asks for the platform
template('DIR/a') { source 'a.erb' }
#@ cookbooks/t/templates/default/a.erb
<% if platform_family?('debian') -%>
deb
<% end -%>
<%= node['t']&.fetch('x', 'none') || 'nothing' %>
#> a deb\nnothing\n

### a syntax error in a template
template('DIR/a') { source 'a.erb' }
#@ cookbooks/t/templates/default/a.erb
<% if true %>
#! a.erb

### an endless include is none
include_recipe 't::a'
#@ cookbooks/t/recipes/a.rb
include_recipe 't::b'
#@ cookbooks/t/recipes/b.rb
include_recipe 't::a'
puts 'b'
#< b

### include_recipe with several names
include_recipe 't::a', 't::b'
#@ cookbooks/t/recipes/a.rb
puts 'a'
#@ cookbooks/t/recipes/b.rb
puts 'b'
#< a
#< b

### a recipe of the run list that was included already
include_recipe 't::a'
#list recipe[t], recipe[t::a]
#@ cookbooks/t/recipes/a.rb
puts 'a'
#< a

### names of run lists without recipe[]
#list t::a
#@ cookbooks/t/recipes/a.rb
puts 'a'
#< a

### deep recursion in a recipe
def f = f
f
#! stack level too deep

### undefined names have a hint
nods['x']
#! undefined method or resource `nods` in recipe[t::default]; did you mean `node`?

### a method that does not exist in a ruby_block
ruby_block('x') { block { nil.upcase } }
#! undefined method 'upcase' for nil

### a frozen constant of a library
puts Lib::LIST.inspect
#@ cookbooks/t/libraries/lib.rb
module Lib
  LIST = %w[a b].freeze
end
#< ["a", "b"]

### polling with sleep and retries in a library
puts Lib.wait(0, 3) { |i| i == 2 }
#@ cookbooks/t/libraries/lib.rb
module Lib
  def self.wait(pause, retries)
    retries.times do |i|
      return "after #{i}" if yield(i)
      sleep pause
    end
    raise 'never'
  end
end
#< after 2

### files outside are reached by their names only
puts File.read('/__ruby__/jetpack/boot.rb').size > 100
File.write('/__ruby__/jetpack/boot.rb', '')
#! Read-only file system

### reading with IO and File
puts IO.read('DIR/a'), File.foreach('DIR/a').grep(/b/).inspect, File.readlines('DIR/a', chomp: true).inspect
#@ a
a
b
#< a
#< b
#< ["b\n"]
#< ["a", "b"]

### ENV is that of the process
puts ENV['PATH'].empty?, ENV.fetch('NONE', 'default')
#< false
#< default

### a cookbook that shadows another one
puts 'mine'
#@ cookbooks/t/metadata.rb
name 't'
version '2.0.0'
#< mine

### before: what is notified makes what is needed
directory('DIR/x') { action :nothing }
file('DIR/x/a') { content 'x'; notifies :create, 'directory[DIR/x]', :before }
#= directory[DIR/x] nothing: skipped (action :nothing)
#= directory[DIR/x] create: updated
#= file[DIR/x/a] create: updated

### before: nothing is notified when nothing would change
execute('before') { command 'false'; action :nothing }
file('DIR/a') { content 'x' }
file('DIR/a') { content 'x'; notifies :run, 'execute[before]', :before }
#= execute[before] nothing: skipped (action :nothing)
#= file[DIR/a] create: updated
#= file[DIR/a] create: up to date

### before: of a custom resource, whose own notices wait
execute('before') { command 'echo before >> DIR/log'; action :nothing }
execute('inner') { command 'echo inner >> DIR/log'; action :nothing }
t_thing('x') { notifies :run, 'execute[before]', :before }
#@ cookbooks/t/resources/thing.rb
action(:run) { file('DIR/a') { notifies :run, 'execute[inner]', :immediately } }
#> log before\ninner\n

### subscribes before
execute('before') { command 'echo x > DIR/log'; action :nothing; subscribes :run, 'file[DIR/a]', :before }
file 'DIR/a'
#= execute[before] nothing: skipped (action :nothing)
#= execute[before] run: updated
#= file[DIR/a] create: updated
