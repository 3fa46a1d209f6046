//! What the simulated PortaBilling holds, and the changes that an administrator makes to it.

use std::collections::BTreeMap;

use portabilling::types::{
    AccessPolicyAttributeInfo, AccessPolicyInfo, AccountInfo, AddonProductInfo, CardInfo, CustomerInfo,
    DIDNumberInfo, FullVDCounterInfo, InvoiceInfo, ProductInfo, ServiceAttributeInfo, ServiceFeatureInfo,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// How many SIM cards no account has.
const FREE_CARDS: usize = 3;

/// Everything there is.
#[derive(Debug, Default)]
pub struct World {
    pub(crate) accounts: BTreeMap<i64, AccountInfo>,
    pub(crate) customers: BTreeMap<i64, CustomerInfo>,
    pub(crate) products: BTreeMap<i64, ProductInfo>,
    pub(crate) cards: BTreeMap<i64, CardInfo>,
    pub(crate) policies: BTreeMap<i64, AccessPolicyInfo>,
    pub(crate) numbers: BTreeMap<i64, DIDNumberInfo>,
    pub(crate) invoices: BTreeMap<i64, InvoiceInfo>,
    /// Service groups by id.
    pub(crate) groups: BTreeMap<i64, String>,
    /// The latest provisioning status per account and group.
    pub(crate) statuses: BTreeMap<(i64, String), WrittenStatus>,
    /// Events that were put into ESPF's queue through its API.
    pub(crate) inserted: Vec<Value>,
    next_event: i64,
    /// Ids up to this one have been given to accounts.
    last_account: i64,
}

/// A provisioning status as it was written through the ESPF API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenStatus {
    /// `OK`, `IN_PROGRESS`, `RETRY` or `FAILED`.
    pub status: String,
    /// For people.
    pub message: Option<String>,
    /// How often a status was written for this account and group.
    pub times: u64,
}

/// What an administrator does; each makes one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A new account with a SIM card.
    Create,
    /// A field of an account.
    Update,
    /// Blocks an account, or unblocks a blocked one.
    Block,
    /// Another SIM card for the account.
    SwapSim,
    /// Terminates an account for good.
    Delete,
    /// Pays an invoice: an event of another kind of subject.
    PayInvoice,
    /// A change that nobody subscribes to.
    Other,
}

/// An event as ESPF would send it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// ESPF's id.
    pub i_event: i64,
    /// What it is about (`account:17`), for those who keep order.
    pub subject: String,
    /// The body.
    pub body: String,
}

/// Ids begin here, so that they look like a grown system's.
const FIRST_ACCOUNT: i64 = 1_000_000;
const FIRST_CARD: i64 = 500_000;

impl World {
    /// A world with `accounts` accounts, each with a SIM card, spread over customers, products and access policies;
    /// the same every time.
    pub fn generated(accounts: usize) -> Self {
        let mut world = World { next_event: 1, ..World::default() };
        world.groups =
            ["VoIP", "HSS", "PCRF", "IPTV", "WiMAX", "Netaccess", "NumberPortability", "LawfulInterception"]
                .into_iter()
                .zip(1..)
                .map(|(name, id)| (id, name.to_string()))
                .collect();
        for i_product in 1..=5 {
            world.products.insert(i_product, product(i_product));
        }
        for i_policy in 1..=3 {
            world.policies.insert(i_policy, policy(i_policy));
        }
        for i_customer in 1..=(accounts as i64 / 10).max(1) {
            world.customers.insert(i_customer, customer(i_customer));
            world.invoices.insert(i_customer, invoice(i_customer));
        }
        for _ in 0..accounts {
            world.add_account();
        }
        for _ in 0..FREE_CARDS.min(accounts) {
            let i_sim_card = world.cards.last_key_value().map_or(FIRST_CARD, |(last, _)| last + 1);
            let free = CardInfo { i_account: None, status: Some("available".into()), ..card(i_sim_card, 0) };
            world.cards.insert(i_sim_card, free);
        }
        for number in 0..(accounts as i64).min(500) {
            world.numbers.insert(number + 1, did(number + 1));
        }
        world
    }

    /// Whether there is or was an account with this id: a status can be written for a terminated one, too.
    pub(crate) fn has_ever_been(&self, i_account: i64) -> bool {
        (FIRST_ACCOUNT..=self.last_account).contains(&i_account)
    }

    /// The ids of all accounts.
    pub fn account_ids(&self) -> Vec<i64> {
        self.accounts.keys().copied().collect()
    }

    /// An account as it is now.
    pub fn account(&self, i_account: i64) -> Option<&AccountInfo> {
        self.accounts.get(&i_account)
    }

    /// The SIM card of an account.
    pub fn card_of(&self, i_account: i64) -> Option<&CardInfo> {
        self.cards.values().find(|card| card.i_account == Some(i_account))
    }

    /// The latest provisioning statuses, per account and service group.
    pub fn statuses(&self) -> &BTreeMap<(i64, String), WrittenStatus> {
        &self.statuses
    }

    /// Makes a change to the account (or, for [`Change::Create`], a new one) and the event that ESPF sends for it.
    ///
    /// `time` is `YYYY-MM-DD HH:MM:SS`, UTC. An account that is gone gets the event of an update.
    pub fn change(&mut self, change: Change, i_account: i64, time: &str) -> Sent {
        let (event_type, variables) = match change {
            Change::Create => {
                let i_account = self.add_account();
                ("Subscriber/Created", json!({ "i_account": i_account }))
            }
            Change::Update => {
                self.touch(i_account);
                ("Subscriber/Updated", json!({ "i_account": i_account.to_string() }))
            }
            Change::Block => {
                let blocked = self.toggle_block(i_account);
                (
                    if blocked { "Account/Blocked" } else { "Account/Unblocked" },
                    json!({ "i_account": i_account }),
                )
            }
            Change::SwapSim => {
                self.swap_sim(i_account);
                ("SIM/Replaced", json!({ "i_account": i_account, "curr_status": "used" }))
            }
            Change::Delete => {
                self.terminate(i_account);
                ("Subscriber/Deleted", json!({ "i_account": i_account }))
            }
            Change::PayInvoice => {
                let i_invoice =
                    self.invoices.keys().nth(i_account as usize % self.invoices.len().max(1)).copied();
                ("Invoice/Updated", json!({ "i_invoice": i_invoice, "i_customer": i_invoice }))
            }
            Change::Other => ("CustomField/Changed", json!({ "i_account": i_account })),
        };
        self.event(event_type, variables, time)
    }

    /// An event of any type, with the variables that ESPF adds.
    pub fn event(&mut self, event_type: &str, mut variables: Value, time: &str) -> Sent {
        let i_event = self.next_event.max(1);
        self.next_event = i_event + 1;
        let subject = ["i_account", "i_invoice", "i_customer", "number"]
            .into_iter()
            .find_map(|name| {
                variables.get(name).map(|id| format!("{name}:{}", id.to_string().trim_matches('"')))
            })
            .unwrap_or_default();
        if let Some(variables) = variables.as_object_mut() {
            variables.insert("i_event".into(), json!(i_event));
            variables.insert("i_env".into(), json!(3));
            variables.insert("event_time".into(), json!(time));
        }
        let body = json!({ "event_type": event_type, "variables": variables }).to_string();
        Sent { i_event, subject, body }
    }

    /// Adds an account with a SIM card.
    pub(crate) fn add_account(&mut self) -> i64 {
        let i_account = self.last_account.max(FIRST_ACCOUNT - 1) + 1;
        self.last_account = i_account;
        let customers = self.customers.len().max(1) as i64;
        let account = account(i_account, 1 + i_account % customers, 1 + i_account % 5, 1 + i_account % 3);
        self.accounts.insert(i_account, account);
        self.issue_card(i_account);
        i_account
    }

    fn issue_card(&mut self, i_account: i64) {
        let i_sim_card = self.cards.last_key_value().map_or(FIRST_CARD, |(last, _)| last + 1);
        self.cards.insert(i_sim_card, card(i_sim_card, i_account));
    }

    fn touch(&mut self, i_account: i64) {
        if let Some(account) = self.accounts.get_mut(&i_account) {
            let balance = account.balance.unwrap_or_default() + Decimal::new(125, 2);
            account.balance = Some(balance);
            account.lastname = Some(format!("Nováková {balance}"));
        }
    }

    fn toggle_block(&mut self, i_account: i64) -> bool {
        let Some(account) = self.accounts.get_mut(&i_account) else { return true };
        let blocked = account.blocked.as_deref() != Some("Y");
        account.blocked = Some(if blocked { "Y" } else { "N" }.into());
        account.status = blocked.then(|| "blocked".into());
        blocked
    }

    fn swap_sim(&mut self, i_account: i64) {
        for card in self.cards.values_mut().filter(|card| card.i_account == Some(i_account)) {
            card.i_account = None;
            card.status = Some("disposed".into());
        }
        if self.accounts.contains_key(&i_account) {
            self.issue_card(i_account);
        }
    }

    /// Terminates an account: its record leaves, its SIM card is disposed of.
    pub(crate) fn terminate(&mut self, i_account: i64) -> bool {
        for card in self.cards.values_mut().filter(|card| card.i_account == Some(i_account)) {
            card.i_account = None;
            card.status = Some("disposed".into());
        }
        self.accounts.remove(&i_account).is_some()
    }

    /// The ids of all customers, those that are closed among them.
    pub fn customer_ids(&self) -> Vec<i64> {
        self.customers.keys().copied().collect()
    }

    /// A customer as it is now.
    pub fn customer(&self, i_customer: i64) -> Option<&CustomerInfo> {
        self.customers.get(&i_customer)
    }

    /// Adds a customer, without accounts.
    pub fn add_customer(&mut self) -> i64 {
        let i_customer = self.customers.last_key_value().map_or(0, |(last, _)| *last) + 1;
        self.customers.insert(i_customer, customer(i_customer));
        i_customer
    }

    /// A change to a customer; nothing tells of it.
    pub fn rename_customer(&mut self, i_customer: i64, name: &str) {
        if let Some(customer) = self.customers.get_mut(&i_customer) {
            customer.name = Some(name.to_owned());
        }
    }

    /// Terminates a customer: it stays, closed; lists have it only when they are asked for those. Answers whether it was open.
    pub fn terminate_customer(&mut self, i_customer: i64) -> bool {
        let Some(customer) = self.customers.get_mut(&i_customer) else { return false };
        customer.bill_status.replace("C".into()).as_deref() != Some("C")
    }

    /// Takes a customer away without a trace.
    pub fn remove_customer(&mut self, i_customer: i64) {
        self.customers.remove(&i_customer);
    }

    /// The volume-discount counters of an account.
    pub(crate) fn counters(&self, i_account: i64) -> Vec<FullVDCounterInfo> {
        if !self.accounts.contains_key(&i_account) {
            return Vec::new();
        }
        vec![
            FullVDCounterInfo {
                service_name: Some("Internet Access".into()),
                vdp_name: Some("10 GB".into()),
                dg_name: Some("DATA".into()),
                discount_info: Some("100% till 10 GB".into()),
                unit: Some("GB".into()),
                i_vd_plan: Some(31),
                i_dest_group: Some(7),
                i_vd_dg: Some(70),
                i_service: Some(106),
                addon_priority: Some(10),
                allocated_amount: Some(Decimal::from(10)),
                remaining: Some("7.25".into()),
            },
            FullVDCounterInfo {
                service_name: Some("Voice Calls".into()),
                remaining: Some("N/A".into()),
                i_vd_plan: Some(31),
                ..FullVDCounterInfo::default()
            },
        ]
    }
}

fn account(i_account: i64, i_customer: i64, i_product: i64, i_policy: i64) -> AccountInfo {
    AccountInfo {
        i_account: Some(i_account),
        id: Some(format!("4207{:08}@msisdn", i_account % 100_000_000)),
        i_customer: Some(i_customer),
        customer_name: Some(format!("Zákazník {i_customer} & synové")),
        i_product: Some(i_product),
        product_name: Some(format!("Mobile {i_product} <gold>")),
        billing_model: Some(1),
        bill_status: Some("O".into()),
        blocked: Some("N".into()),
        balance: Some(Decimal::new(1210, 2)),
        credit_limit: soapstone_soap::Nillable::Nil,
        iso_4217: Some("EUR".into()),
        activation_date: "2024-02-29".parse().ok(),
        firstname: Some("Zoë".into()),
        lastname: Some("Nováková".into()),
        email: Some(format!("a{i_account}@example.org")),
        phone1: Some(format!("+4207{:08}", i_account % 100_000_000)),
        zip: Some("01 234".into()),
        time_zone_name: Some("Europe/Prague".into()),
        h323_password: Some(format!("s-{i_account}")),
        i_vd_plan: soapstone_soap::Nillable::Value(31),
        assigned_addons: vec![AddonProductInfo {
            i_product: Some(900),
            name: Some("10 GB".into()),
            description: Some("Data".into()),
            addon_priority: Some(10),
            addon_effective_from: "2026-01-01 00:00:00".parse().ok(),
            i_vd_plan: Some(31),
            ..AddonProductInfo::default()
        }],
        service_features: features(i_policy),
        ..AccountInfo::default()
    }
}

fn features(i_policy: i64) -> Vec<ServiceFeatureInfo> {
    let attribute = |name: &str, values: &[&str]| ServiceAttributeInfo {
        name: Some(name.into()),
        values: values.iter().map(|value| (*value).to_string()).collect(),
        effective_values: values.iter().map(|value| (*value).to_string()).collect(),
    };
    let feature = |name: &str, flag: &str, attributes: Vec<ServiceAttributeInfo>| ServiceFeatureInfo {
        name: Some(name.into()),
        flag_value: Some(flag.into()),
        effective_flag_value: Some(if flag == "~" { "Y" } else { flag }.into()),
        locked: Some(0),
        attributes,
        ..ServiceFeatureInfo::default()
    };
    vec![
        feature("netaccess_policy", "Y", vec![attribute("access_policy", &[&i_policy.to_string()])]),
        feature("cli", "~", vec![attribute("display_number", &["4201", "4202"]), attribute("centrex", &[])]),
    ]
}

fn card(i_sim_card: i64, i_account: i64) -> CardInfo {
    CardInfo {
        i_sim_card: Some(i_sim_card),
        iccid: Some(format!("8942001{i_sim_card:012}")),
        imsi: Some(format!("23001{i_sim_card:010}")),
        msisdn: Some(format!("4207{:08}", i_account % 100_000_000)),
        status: Some("used".into()),
        i_account: Some(i_account),
    }
}

fn product(i_product: i64) -> ProductInfo {
    ProductInfo {
        i_product: soapstone_soap::Nillable::Value(i_product),
        name: Some(format!("Mobile {i_product} <gold>")),
        description: Some("Voice, messages and data".into()),
        i_vd_plan: Some(31),
        addon_priority: Some(0),
        ..ProductInfo::default()
    }
}

fn policy(i_access_policy: i64) -> AccessPolicyInfo {
    let attribute = |name: &str, value: &str| AccessPolicyAttributeInfo {
        group_name: Some("LTE".into()),
        name: Some(name.into()),
        value: Some(value.into()),
    };
    AccessPolicyInfo {
        i_access_policy: Some(i_access_policy),
        name: Some(format!("Policy {i_access_policy}")),
        attributes: vec![attribute("cs_profile", "default,premium"), attribute("eps_profile", "lte-1")],
    }
}

fn customer(i_customer: i64) -> CustomerInfo {
    CustomerInfo {
        i_customer: Some(i_customer),
        name: Some(format!("Zákazník {i_customer} & synové")),
        i_customer_type: Some(1),
        balance: Some(Decimal::new(9900, 2)),
        bill_status: Some("O".into()),
        blocked: Some("N".into()),
        iso_4217: Some("EUR".into()),
        email: Some(format!("c{i_customer}@example.org")),
        ..CustomerInfo::default()
    }
}

fn invoice(i_invoice: i64) -> InvoiceInfo {
    InvoiceInfo {
        i_invoice: Some(i_invoice),
        i_customer: Some(i_invoice),
        invoice_number: Some(100_000 + i_invoice),
        amount_due: Some(Decimal::new(4250, 2)),
        issue_date: Some("2026-11-01".into()),
    }
}

fn did(i_did_number: i64) -> DIDNumberInfo {
    DIDNumberInfo {
        i_did_number: Some(i_did_number),
        number: Some(format!("00420555{i_did_number:06}")),
        i_customer: Some(1),
        country_iso: Some("CZ".into()),
        ..DIDNumberInfo::default()
    }
}
