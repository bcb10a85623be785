Custom resources, LWRPs, properties.

### a custom resource
t_thing 'DIR/a' do
  text 'x'
end
#@ cookbooks/t/resources/thing.rb
unified_mode true
property :path, String, name_property: true
property :text, String, default: 'default'
action :create do
  file new_resource.path do
    content new_resource.text
  end
end
#= file[DIR/a] create: updated
#= t_thing[DIR/a] create: updated
#> a x

### nothing changes inside, nothing changed
t_thing 'x'
#@ a
#@ cookbooks/t/resources/thing.rb
action :create do
  file('DIR/a') { action :create }
end
#= file[DIR/a] create: up to date
#= t_thing[x] create: up to date

### defaults, also lazy ones
t_thing('a') { b 'B' }
#@ cookbooks/t/resources/thing.rb
property :a, String, default: 'A'
property :b, String
property :c, String, default: lazy { "#{a}+#{b}" }
property :d, Array, default: []
action :run do
  puts new_resource.c, new_resource.d.inspect
end
#< A+B
#< []

### resource_name and provides
my_name 'a'
other_name 'b'
#@ cookbooks/t/resources/thing.rb
resource_name :my_name
provides :my_name
provides :other_name
action(:run) { puts new_resource.name }
#< a
#< b

### provides for a platform
t_thing 'x'
#@ cookbooks/t/resources/deb.rb
provides :t_thing, platform_family: 'debian'
action(:run) { puts 'deb' }
#@ cookbooks/t/resources/rpm.rb
provides :t_thing, platform_family: 'rhel'
action(:run) { puts 'rpm' }
#< deb

### the resource default is named like its cookbook
t 'x'
#@ cookbooks/t/resources/default.rb
action(:run) { puts 'default' }
#< default

### types of properties
t_thing('x') { port 'not a number' }
#@ cookbooks/t/resources/thing.rb
property :port, Integer
action(:run) { }
#! Option port must be a kind of Integer!  You passed "not a number".

### several types
t_thing('x') { a nil; a 'x'; a %w[y]; b true; b false }
#@ cookbooks/t/resources/thing.rb
property :a, [String, Array, nil]
property :b, [true, false]
action(:run) { puts new_resource.a.inspect, new_resource.b }
#< ["y"]
#< false

### equal_to
t_thing('x') { kind 'c' }
#@ cookbooks/t/resources/thing.rb
property :kind, String, equal_to: %w[a b]
action(:run) { }
#! Option kind must be equal to one of: a, b!  You passed "c".

### regex
t_thing('x') { kind 'C' }
#@ cookbooks/t/resources/thing.rb
property :kind, String, regex: /^[a-z]+$/
action(:run) { }
#! Option kind does not match the regular expression

### callbacks
t_thing('x') { port 70_000 }
#@ cookbooks/t/resources/thing.rb
property :port, Integer, callbacks: { 'must be a port' => ->(p) { p.between?(1, 65_535) } }
action(:run) { }
#! Option port must be a port

### coerce
t_thing('x') { mode 0o644; list 'a,b' }
#@ cookbooks/t/resources/thing.rb
property :mode, String, coerce: proc { |m| m.is_a?(Integer) ? m.to_s(8) : m }
property :list, Array, coerce: proc { |l| l.is_a?(String) ? l.split(',') : l }
action(:run) { puts new_resource.mode, new_resource.list.inspect }
#< 644
#< ["a", "b"]

### required
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
property :must, String, required: true
action(:run) { }
#! must is a required property

### required for an action only
t_thing('x') { action :remove }
t_thing('x') { action :create }
#@ cookbooks/t/resources/thing.rb
property :must, String, required: [:create]
action(:create) { }
action(:remove) { puts 'removed' }
#! must is a required property
#< removed

### property_is_set?
t_thing('x') { a 'y' }
#@ cookbooks/t/resources/thing.rb
property :a, String
property :b, String, default: 'z'
action(:run) { puts new_resource.property_is_set?(:a), new_resource.property_is_set?(:b) }
#< true
#< false

### default_action and several actions
t_thing 'x'
t_thing('y') { action %i[remove create] }
#@ cookbooks/t/resources/thing.rb
default_action :create
action(:remove) { puts "remove #{new_resource.name}" }
action(:create) { puts "create #{new_resource.name}" }
#< create x
#< remove y
#< create y

### the first action is the default
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
action(:first) { puts 'first' }
action(:second) { puts 'second' }
#< first

### action_class
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
action(:run) { puts helper }
action_class do
  def helper = "helps #{new_resource.name}"
end
#< helps x

### helpers of an action in the resources that it declares
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
action :run do
  file 'DIR/a' do
    content helper
    only_if { helper == 'text' }
  end
end
action_class do
  def helper = 'text'
end
#> a text

### load_current_value and converge_if_changed
t_thing('DIR/a') { text 'new' }
#@ a
old
#@ cookbooks/t/resources/thing.rb
property :path, String, name_property: true
property :text, String
load_current_value do |new|
  current_value_does_not_exist! unless ::File.exist?(path)
  text ::File.read(path).chomp
end
action :create do
  converge_if_changed do
    ::File.write(new_resource.path, new_resource.text)
  end
end
#= t_thing[DIR/a] create: updated
#> a new
#~ set text to "new" (was "old")

### converge_if_changed when nothing is there
t_thing('DIR/a') { text 'new' }
#@ cookbooks/t/resources/thing.rb
property :path, String, name_property: true
property :text, String
load_current_value do
  current_value_does_not_exist! unless ::File.exist?(path)
  text ::File.read(path)
end
action :create do
  converge_if_changed(:text) { ::File.write(new_resource.path, new_resource.text) }
end
#= t_thing[DIR/a] create: updated
#~ create DIR/a

### converge_by
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
action :run do
  next if ::File.exist?('DIR/a')
  converge_by('write it') { ::File.write('DIR/a', 'x') }
end
#= t_thing[x] run: updated
#> a x
#~ - write it

### converge_by under dry run
t_thing 'x'
#dry
#@ cookbooks/t/resources/thing.rb
action :run do
  converge_by('write it') { ::File.write('DIR/a', 'x') }
end
#= t_thing[x] run: updated
#x a

### notifications from inside reach what is outside
execute('outer') { command 'echo outer'; action :nothing }
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
action :run do
  file 'DIR/a' do
    notifies :run, 'execute[outer]', :immediately
  end
end
#? execute[outer] run: updated

### delayed notifications from inside run at the end
execute('outer') { command 'echo outer'; action :nothing }
t_thing 'x'
file 'DIR/b'
#@ cookbooks/t/resources/thing.rb
action :run do
  file('DIR/a') { notifies :run, 'execute[outer]' }
end
#= execute[outer] nothing: skipped (action :nothing)
#= file[DIR/a] create: updated
#= t_thing[x] run: updated
#= file[DIR/b] create: updated
#= execute[outer] run: updated

### a custom resource notifies when something inside changed
t_thing('x') { notifies :run, 'execute[outer]', :immediately }
execute('outer') { command 'true'; action :nothing }
#@ cookbooks/t/resources/thing.rb
action(:run) { file 'DIR/a' }
#? execute[outer] run: updated

### guards of custom resources
t_thing('x') { only_if { false } }
#@ cookbooks/t/resources/thing.rb
action(:run) { puts 'ran' }
#= t_thing[x] run: skipped (only_if)

### custom resources within custom resources
t_outer 'DIR/a'
#@ cookbooks/t/resources/outer.rb
action :create do
  t_inner new_resource.name do
    depth 2
  end
end
#@ cookbooks/t/resources/inner.rb
property :depth, Integer
action :create do
  file "#{new_resource.name}#{new_resource.depth}"
  if new_resource.depth.positive?
    t_inner new_resource.name do
      depth new_resource.depth - 1
    end
  end
end
#? file[DIR/a0] create: updated
#? t_inner[DIR/a] create: updated
#? t_outer[DIR/a] create: updated

### lazy properties of custom resources
value = 'old'
ruby_block('x') { block { value = 'new' } }
t_thing('x') { text lazy { value } }
#@ cookbooks/t/resources/thing.rb
property :text, String
action(:run) { puts new_resource.text }
#< new

### an LWRP of two files
t_thing('DIR/a') { text 'x' }
#@ cookbooks/t/resources/thing.rb
actions :create, :delete
default_action :create
attribute :path, kind_of: String, name_attribute: true
attribute :text, kind_of: [String, NilClass], default: nil
#@ cookbooks/t/providers/thing.rb
use_inline_resources
def whyrun_supported?
  true
end
action :create do
  file new_resource.path do
    content new_resource.text
  end
end
#= file[DIR/a] create: updated
#= t_thing[DIR/a] create: updated
#> a x

### an LWRP that says itself that it was updated
t_thing('x') { notifies :run, 'execute[after]', :immediately }
execute('after') { command 'true'; action :nothing }
#once
#@ cookbooks/t/resources/thing.rb
actions :run
default_action :run
#@ cookbooks/t/providers/thing.rb
action :run do
  new_resource.updated_by_last_action(true)
end
#? execute[after] run: updated

### a resource as a class in a library
t_hwrp 'DIR/a'
#@ cookbooks/t/libraries/hwrp.rb
class Chef
  class Resource
    class THwrp < Chef::Resource
      provides :t_hwrp
      property :path, String, name_property: true
      action :create do
        file new_resource.path
      end
    end
  end
end
#= file[DIR/a] create: updated
#= t_hwrp[DIR/a] create: updated

### a resource of the host is made special
t_special('DIR/a')
#@ cookbooks/t/libraries/x.rb
class TSpecial < Chef::Resource::File
  resource_name :t_special
  provides :t_special
  property :content, String, default: 'special'
end
#? t_special[DIR/a] create: updated

### a custom resource that fails names itself
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
action(:run) { raise 'inside' }
#! inside
#! t_thing[x]

### an unknown property of a custom resource
t_thing('x') { prot 1 }
#@ cookbooks/t/resources/thing.rb
property :port, Integer
action(:run) { }
#! undefined property or method `prot` for t_thing[x]; did you mean `port`?

### sensitive properties stay out of errors
t_thing('x') { secret 5 }
#@ cookbooks/t/resources/thing.rb
property :secret, String, sensitive: true
action(:run) { }
#! Option secret must be a kind of String!  You passed what was given.

### alias of a property
t_thing('x') { old_name 'v' }
#@ cookbooks/t/resources/thing.rb
property :new_name, String
deprecated_property_alias 'old_name', 'new_name', 'old_name is new_name now'
action(:run) { puts new_resource.new_name }
#< v
#? Warn: old_name is new_name now

### include_recipe within an action
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
action(:run) { include_recipe 't::other' }
#@ cookbooks/t/recipes/other.rb
file 'DIR/a'
#? file[DIR/a] create: updated

### locals of the host are no methods of a resource file
t_thing 'x'
#@ cookbooks/t/resources/thing.rb
puts [defined?(file), defined?(klass), defined?(base), defined?(cookbook)].inspect
action(:run) { }
#< [nil, nil, nil, nil]
