# frozen_string_literal: true

# Questions about the platform, with and without a node: `debian?`, `ChefUtils.rhel?(node)`.
module ChefUtils
  FAMILIES = {
    debian?: %w[debian], rhel?: %w[rhel], fedora?: %w[fedora], amazon?: %w[amazon], suse?: %w[suse], arch?: %w[arch],
    gentoo?: %w[gentoo], solaris2?: %w[solaris2], freebsd?: %w[freebsd], windows?: %w[windows], macos?: %w[mac_os_x],
    fedora_derived?: %w[fedora rhel amazon], rpm_based?: %w[fedora rhel amazon suse], redhat_based?: %w[fedora rhel]
  }.freeze
  PLATFORMS = {
    ubuntu?: %w[ubuntu], debian_platform?: %w[debian], centos?: %w[centos], centos_platform?: %w[centos],
    redhat?: %w[redhat], redhat_platform?: %w[redhat], rocky?: %w[rocky], alma?: %w[alma almalinux],
    oracle?: %w[oracle], oracle_linux?: %w[oracle], linuxmint?: %w[linuxmint], raspbian?: %w[raspbian],
    opensuse?: %w[opensuse opensuseleap], sles?: %w[sles suse], scientific?: %w[scientific],
    fedora_platform?: %w[fedora], amazon_platform?: %w[amazon], arch_platform?: %w[arch]
  }.freeze

  class << self
    def of(object) = object.respond_to?(:node) ? object.node : Chef.node
  end

  FAMILIES.each do |name, families|
    define_method(name) { |node = ChefUtils.of(self)| families.include?(node['platform_family']) }
  end
  PLATFORMS.each do |name, platforms|
    define_method(name) { |node = ChefUtils.of(self)| platforms.include?(node['platform']) }
  end
  alias fedora_based? fedora_derived?
  alias suse_based? suse?
  def linux?(node = ChefUtils.of(self)) = node['os'].nil? || node['os'] == 'linux'
  def rhel6?(node = ChefUtils.of(self)) = rhel?(node) && node['platform_version'].to_i == 6
  def rhel7?(node = ChefUtils.of(self)) = rhel?(node) && node['platform_version'].to_i == 7
  def rhel8?(node = ChefUtils.of(self)) = rhel?(node) && node['platform_version'].to_i == 8
  def rhel9?(node = ChefUtils.of(self)) = rhel?(node) && node['platform_version'].to_i == 9
  def systemd?(*) = File.exist?('/proc/1/comm') && File.read('/proc/1/comm').strip == 'systemd'
  def upstart?(*) = false
  def docker?(node = ChefUtils.of(self)) = !!node&.read('virtualization', 'systems', 'docker')
  def virtual?(node = ChefUtils.of(self)) = node&.read('virtualization', 'role') == 'guest'
  def physical?(node = ChefUtils.of(self)) = !virtual?(node)
  def cloud?(node = ChefUtils.of(self)) = !node&.read('cloud').nil?
  def azure?(node = ChefUtils.of(self)) = !node&.read('azure').nil?
  def ec2?(node = ChefUtils.of(self)) = !node&.read('ec2').nil?
  def gce?(node = ChefUtils.of(self)) = !node&.read('gce').nil?
  def x86_64?(node = ChefUtils.of(self)) = %w[x86_64 amd64].include?(node&.read('kernel', 'machine'))
  alias _64_bit? x86_64?
  def arm64?(node = ChefUtils.of(self)) = %w[aarch64 arm64].include?(node&.read('kernel', 'machine'))
  alias arm? arm64?
  def i386?(*) = false
  def intel?(node = ChefUtils.of(self)) = x86_64?(node)
  def selinux?(*) = File.exist?('/sys/fs/selinux/enforce')
  def kitchen?(*) = ENV.key?('TEST_KITCHEN')
  def ci?(*) = ENV.key?('CI')
  def include_recipe?(name, node = ChefUtils.of(self)) = node.recipe?(name)
  alias includes_recipe? include_recipe?
  def sanitized_path = [ENV['PATH'].to_s, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].join(':')

  extend self
end
