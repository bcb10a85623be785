Attributes: levels, Mash, reading and writing.

### default of a cookbook
puts node['t']['a']
#@ cookbooks/t/attributes/default.rb
default['t']['a'] = 1
#< 1

### keys as symbols, strings and in a mix
puts [node[:t]['a'], node['t'][:a]].inspect
#@ cookbooks/t/attributes/default.rb
default[:t]['a'] = 1
#< [1, 1]

### normal beats default
puts node['t']['a']
#@ cookbooks/t/attributes/default.rb
normal['t']['a'] = 'normal'
default['t']['a'] = 'default'
#< normal

### override beats normal
puts node['t']['a']
#@ cookbooks/t/attributes/default.rb
override['t']['a'] = 'override'
normal['t']['a'] = 'normal'
#< override

### automatic beats override
puts node['platform']
#@ cookbooks/t/attributes/default.rb
override['platform'] = 'x'
#< ubuntu

### the configuration of the node beats defaults
puts node['t']['a'], node['t']['b']
#normal {"t": {"a": "node"}}
#@ cookbooks/t/attributes/default.rb
default['t']['a'] = 'default'
default['t']['b'] = 'default'
#< node
#< default

### override beats the configuration of the node
puts node['t']['a']
#normal {"t": {"a": "node"}}
#@ cookbooks/t/attributes/default.rb
override['t']['a'] = 'override'
#< override

### force_default beats default
puts node['t']['a']
#@ cookbooks/t/attributes/default.rb
force_default['t']['a'] = 'forced'
default['t']['a'] = 'default'
#< forced

### force_override beats override
puts node['t']['a']
#@ cookbooks/t/attributes/default.rb
force_override['t']['a'] = 'forced'
override['t']['a'] = 'override'
#< forced

### hashes of levels are merged
puts node['t'].to_h.sort.inspect
#@ cookbooks/t/attributes/default.rb
default['t'] = { 'a' => 1, 'b' => 1 }
override['t']['b'] = 2
normal['t']['c'] = 3
#< [["a", 1], ["b", 2], ["c", 3]]

### arrays of different levels replace each other
puts node['t']['l'].inspect
#@ cookbooks/t/attributes/default.rb
default['t']['l'] = %w[a b]
normal['t']['l'] = %w[c]
#< ["c"]

### arrays of a role's default are joined with a cookbook's
puts node['t']['l'].inspect
#list role[r], recipe[t]
#@ roles/r.rb
default_attributes 't' => { 'l' => %w[b c] }
#@ cookbooks/t/attributes/default.rb
default['t']['l'] = %w[a b]
#< ["a", "b", "c"]

### a role's default beats a cookbook's
puts node['t']['a']
#list role[r], recipe[t]
#@ roles/r.rb
default_attributes 't' => { 'a' => 'role' }
#@ cookbooks/t/attributes/default.rb
default['t']['a'] = 'cookbook'
#< role

### a role's override beats a cookbook's
puts node['t']['a']
#list role[r], recipe[t]
#@ roles/r.rb
override_attributes('t' => { 'a' => 'role' })
#@ cookbooks/t/attributes/default.rb
override['t']['a'] = 'cookbook'
#< role

### recipes write, and what they write counts
node.default['t']['a'] = 1
node.override['t']['b'] = 2
node.normal['t']['c'] = 3
puts node['t'].to_h.inspect
#< {"a" => 1, "c" => 3, "b" => 2}

### reading makes nothing
puts node['nope'].inspect
puts node.read('nope', 'more').inspect
puts node.key?('nope')
#< nil
#< nil
#< false

### a chain over what is missing is an error
node['nope']['more']
#! undefined method '[]' for nil

### writing without a level is an error
node['t'] = 1
#! undefined method '[]=' for

### writing into what was read is an error
node.default['t']['a'] = 1
node['t']['a'] = 2
#! Node attributes are read-only

### read and read!
node.default['t']['a']['b'] = 5
puts node.read('t', 'a', 'b'), node.read!('t', 'a', 'b')
node.read!('t', 'x')
#< 5
#< 5
#! t.x

### dig, fetch and exist?
node.default['t']['a'] = 5
puts node.dig('t', 'a'), node.fetch('t').fetch('a'), node.exist?('t', 'a'), node.exist?('t', 'b')
puts node.fetch('x', 'd'), node['t'].fetch('x') { 'block' }
#< 5
#< 5
#< true
#< false
#< d
#< block

### attribute?
node.default['t']['a'] = nil
puts node.attribute?('t'), node.attribute?(:u), node['t'].key?(:a), node['t'].attribute?('a')
#< true
#< false
#< true
#< true

### default_unless writes only where nothing is
node.default_unless['t']['a'] = 2
node.default_unless['t']['b'] = 2
puts node['t'].to_h.inspect
#normal {"t": {"a": 1}}
#< {"b" => 2, "a" => 1}

### write at a path
node.default.write('t', 'a', 'b', 3)
puts node['t']['a']['b']
#< 3

### rm removes at all levels
node.default['t']['a'] = 1
node.override['t']['a'] = 2
node.rm('t', 'a')
puts node['t'].to_h.inspect
#< {}

### rm_default removes the defaults
node.default['t']['a'] = 1
node.override['t']['b'] = 2
puts node.rm_default('t').inspect
puts node['t'].to_h.inspect
#< {"a" => 1}
#< {"b" => 2}

### default! writes at a path
node.default!('t', 'a', 1)
puts node['t']['a']
#< 1

### what was read can be copied and changed
node.default['t'] = { 'l' => [1, 2], 'h' => { 'a' => 1 } }
list = node['t']['l'].dup
list << 3
hash = node['t']['h'].to_hash
hash['b'] = 2
merged = node['t']['h'].merge('c' => 3)
puts list.inspect, hash.inspect, merged.to_hash.inspect, node['t']['l'].inspect
#< [1, 2, 3]
#< {"a" => 1, "b" => 2}
#< {"a" => 1, "c" => 3}
#< [1, 2]

### what was merged reads with symbols too
node.default['t']['h'] = { 'a' => 1 }
mount = node['t']['h'].merge('b' => 2)
mount[:c] = 3
puts mount[:b], mount['c']
#< 2
#< 3

### lists of hashes read with symbols too
node.default['t']['l'] = [{ 'a' => 1 }]
puts node['t']['l'].first[:a]
#< 1

### keys with dots
node.default['t']['zookeeper.connect'] = 'x'
puts node['t']['zookeeper.connect']
#< x

### each over attributes
node.default['t'] = { 'a' => 1, 'b' => 2 }
node['t'].each { |name, value| puts "#{name}=#{value}" }
#< a=1
#< b=2

### attributes in attribute files of other cookbooks
puts node['u']['b']
#@ cookbooks/t/metadata.rb
name 't'
depends 'u'
#@ cookbooks/u/attributes/default.rb
default['u']['b'] = 'u'
#< u

### attribute files are loaded in the order of dependencies
puts node['x']
#@ cookbooks/t/metadata.rb
%w[u].each { |c| depends c }
#@ cookbooks/t/attributes/default.rb
default['x'] = "#{node['x']} then t"
#@ cookbooks/u/attributes/default.rb
default['x'] = 'u'
#< u then t

### default.rb is loaded first
puts node['x']
#@ cookbooks/t/attributes/alpha.rb
default['x'] = "#{node['x']}, alpha"
#@ cookbooks/t/attributes/default.rb
default['x'] = 'default'
#< default, alpha

### include_attribute
puts node['x']
#@ cookbooks/t/attributes/alpha.rb
include_attribute 't::zeta'
default['x'] = "#{node['x']}, alpha"
#@ cookbooks/t/attributes/zeta.rb
default['x'] = 'zeta'
#< zeta, alpha

### attribute files ask for the platform
puts node['x']
#@ cookbooks/t/attributes/default.rb
case node[:platform_family]
when 'debian' then default['x'] = 'apt'
else default['x'] = 'rpm'
end
#< apt

### return leaves an attribute file
puts node['x']
#@ cookbooks/t/attributes/default.rb
default['x'] = 1
return if node['x'] == 1
default['x'] = 2
#< 1

### values are not frozen
text = node['t']['x'].dup
text << 'b'
puts text
#normal {"t": {"x": "a"}}
#< ab

### node.to_json
require 'json'
puts JSON.parse(node.to_json)['t'].inspect
#normal {"t": {"x": "a"}}
#< {"x" => "a"}

### node.set is kept, with one warning
node.set['t']['a'] = 1
node.set['t']['b'] = 1
puts node['t']['a']
#< 1
#? Warn: `node.set` is gone since Chef 14; write `node.normal`

### attributes by methods are kept, with a warning
puts node.t.a
#normal {"t": {"a": 1}}
#< 1
#? Warn: attribute `t` is read by a method; write node['t']

### run_state
node.run_state[:x] = 1
puts node.run_state[:x]
#< 1

### node.name and environment
puts node.name, node.chef_environment, node.environment
#< node1
#< _default
#< _default

### recipe? and roles
puts node.recipe?('t'), node.recipe?('t::default'), node.recipe?('t::x'), node.role?('r'), node['roles'].include?('r')
puts node['recipes'].include?('t::default')
#list role[r]
#@ roles/r.rb
run_list 'recipe[t]'
#< true
#< true
#< false
#< true
#< true
#< true

### tags
tag('a', 'b')
untag('b')
puts node.tags.inspect, tagged?('a')
#< ["a"]
#< true

### platform questions
puts platform?('ubuntu'), platform?('debian', 'centos'), platform_family?('debian'), debian?, rhel?, ubuntu?
puts node.platform?('ubuntu'), ChefUtils.debian?(node)
#< true
#< false
#< true
#< true
#< false
#< true
#< true
#< true

### value_for_platform
puts value_for_platform('ubuntu' => { '22.04' => 'jammy', 'default' => 'other' }, 'default' => 'none')
puts value_for_platform('ubuntu' => { '>= 20.0' => 'new', 'default' => 'old' })
puts value_for_platform(%w[centos redhat] => { 'default' => 'x' }, 'default' => 'none')
#< jammy
#< new
#< none

### value_for_platform_family
puts value_for_platform_family(%w[rhel fedora] => 'rpm', 'debian' => 'deb')
puts value_for_platform_family('rhel' => 'rpm', 'default' => 'other')
#< deb
#< other

### integers as keys
node.default['t'][1] = 'one'
puts node['t'][1]
#< one

### auto-vivified paths of several levels
node.default['a']['b']['c']['d'] = 1
node.default['a']['b']['c']['e'] = 2
puts node['a']['b']['c'].to_h.inspect
#< {"d" => 1, "e" => 2}

### writing after reading is seen
node.default['t']['a'] = 1
puts node['t']['a']
node.default['t']['a'] = 2
puts node['t']['a']
#< 1
#< 2

### writing into a list of a level is seen by the next reader
node.default['t']['l'] = []
node.default['t']['l'] += ['x']
puts node['t']['l'].inspect
#< ["x"]

### environments
puts node['t']['a'], node.chef_environment
#@ environments/_default.rb
default_attributes 't' => { 'a' => 'env' }
#@ cookbooks/t/attributes/default.rb
default['t']['a'] = 'cookbook'
#< cookbook
#< _default
